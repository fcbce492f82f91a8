"""Twins: machines simulated from a snapshot of their calibration.

`snapshot` and `shelf` hold the data; `channel` turns error rates into quantum channels, `fitting` programs into the
circuit that the machine would run, and `twin` runs it. `export` made the snapshots that lie in `snapshots/`.
"""
