"""The Q-MUMMA dialect: the REST API under `/v1`."""
