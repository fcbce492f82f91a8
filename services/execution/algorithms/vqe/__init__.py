"""The molecular ground state by a variational quantum eigensolver (unitary coupled cluster, Jordan-Wigner).

`molecules` is light data; `integrals` imports pyscf, `circuit`, `observable` and `runner` import qiskit.
"""
