"""qpe.phase.v1: the phase of a unitary's eigenvalue, and the circuit of phase estimation that others build on."""
