"""How good a run on a machine will be: the circuit fitted to the machine's calibration, and its errors counted."""
