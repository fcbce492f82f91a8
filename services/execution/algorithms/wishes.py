"""What a caller may ask of a circuit besides its counts, and when it can be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from services.execution.algorithms.algorithm import ParameterError

if TYPE_CHECKING:
    from services.execution.engines.device import Device
    from services.execution.programs.features import Features

MOST_STATE_QUBITS = 10


@dataclass(frozen=True, slots=True)
class Wishes:
    """The exact probabilities, the outcome of every shot, the state before the measurements at the end."""

    probabilities: bool
    memory: bool
    statevector: bool

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Wishes:
        """Read the parameters of the same names; what is not named is not asked."""
        return cls(*(bool(parameters.get(name, False)) for name in ("probabilities", "memory", "statevector")))

    def routed(self, features: Features) -> Features:
        """Return the features by which a backend is chosen: one that has what is asked. Raises ParameterError.

        A tableau of stabilizers has no amplitudes, so that a circuit whose state is asked is routed as if it had a gate
        outside the Clifford group.
        """
        exact = replace(features, amplitudes=features.amplitudes or self.probabilities or self.statevector)
        if not self.statevector:
            return exact
        path = "parameters.statevector"
        if features.num_qubits > MOST_STATE_QUBITS:
            message = f"is given for at most {MOST_STATE_QUBITS} qubits; the circuit has {features.num_qubits}"
            raise ParameterError(path, message)
        if features.dynamic:
            message = "is not one vector where the circuit resets, branches or goes on after a measurement"
            raise ParameterError(path, message)
        return replace(exact, clifford=False)

    def check(self, device: Device) -> None:
        """Refuse what a device cannot give. Raises ParameterError."""
        if self.statevector and not device.ideal:
            message = "is known to noise-free simulators alone; leave it out, or choose one as hardware"
            raise ParameterError("parameters.statevector", message)
