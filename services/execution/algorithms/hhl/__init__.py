"""hhl.linear.v1: small linear systems by the algorithm of Harrow, Hassidim and Lloyd."""
