"""Fermion operators as Pauli operators, by Jordan and Wigner; qubit p is spin orbital p (see `sector`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qiskit.quantum_info import SparsePauliOp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.execution.algorithms.vqe.ansatz import Excitation
    from services.execution.algorithms.vqe.integrals import ActiveSpace

_NEGLIGIBLE = 1e-10


def creator(orbital: int, qubits: int) -> SparsePauliOp:
    """Return a† of a spin orbital: (X - iY)/2 with Z on every lower qubit."""
    below = list(range(orbital))
    chain = "Z" * orbital
    terms = [("X" + chain, [orbital, *below], 0.5), ("Y" + chain, [orbital, *below], -0.5j)]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=qubits)


def product(created: Sequence[int], annihilated: Sequence[int], qubits: int) -> SparsePauliOp:
    """Return a† over `created` times a over `annihilated`, in their order."""
    factors = [creator(p, qubits) for p in created] + [creator(p, qubits).adjoint() for p in annihilated]
    result = factors[0]
    for factor in factors[1:]:
        result = result @ factor
    return result.simplify(atol=_NEGLIGIBLE)


def generator(excitation: Excitation, qubits: int) -> SparsePauliOp:
    """Return the Hermitian K with T - T† = iK; its terms commute."""
    raising = product(excitation.created, excitation.annihilated, qubits)
    return (-1j * (raising - raising.adjoint())).simplify(atol=_NEGLIGIBLE)


def hamiltonian(space: ActiveSpace) -> SparsePauliOp:
    """Return the electronic Hamiltonian on 2n qubits, core energy included; see `Sector.hamiltonian`."""
    n = space.orbitals
    qubits = 2 * n
    excitations = {
        (p, q): (product([p], [q], qubits) + product([p + n], [q + n], qubits)).simplify(atol=_NEGLIGIBLE)
        for p in range(n)
        for q in range(n)
    }
    one_body = space.one_body - 0.5 * np.einsum("prrq->pq", space.two_body)
    terms = [SparsePauliOp.from_list([("I" * qubits, space.core_energy)])]
    for (p, q), operator in excitations.items():
        terms.append(operator * one_body[p, q])
        partner = SparsePauliOp.sum([other * space.two_body[p, q, r, s] for (r, s), other in excitations.items()])
        terms.append(0.5 * (operator @ partner.simplify(atol=_NEGLIGIBLE)))
    return SparsePauliOp.sum(terms).simplify(atol=_NEGLIGIBLE)
