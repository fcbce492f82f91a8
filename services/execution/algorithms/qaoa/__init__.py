"""The quantum approximate optimisation algorithm (Farhi, Goldstone, Gutmann, arXiv:1411.4028).

`layers` simulates its state and `angles` chooses its angles, whatever the problem; the other modules are about cuts.
"""
