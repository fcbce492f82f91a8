"""Engines: what runs a flat program here, behind one small interface.

`engine` and `seeds` import nothing heavy; `aer` imports qiskit-aer and belongs in a worker.
"""
