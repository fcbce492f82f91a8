"""The quantum approximate optimisation algorithm (Farhi, Goldstone, Gutmann, arXiv:1411.4028).

`layers` simulates its state, `angles` and `refinement` find its angles, whatever the problem. `graph`, `maxcut` and
`maxcut_circuit` are about cuts; `assets`, `exchange`, `portfolio` and `portfolio_circuit` about portfolios.
"""
