"""The marketplace: what algorithms there are, as data, and the code behind each.

`listing` and `algorithm` are light and describe; the runners import qiskit and pyscf and belong in workers.
"""
