"""Dynamics of the Ising model in a field, by product formulas.

`model` is the Hamiltonian, `circuit` the product formula as gates, `evolution` both as vectors of amplitudes.
"""
