"""The whole mesh on one machine, under one supervisor."""
