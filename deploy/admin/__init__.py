"""The command `qmumma-admin`: what an operator does with a running mesh."""
