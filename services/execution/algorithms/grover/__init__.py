"""grover.search.v1: amplitude amplification of the solutions of a search problem."""
