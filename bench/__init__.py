"""Measurements, each beside a rival or a limit: `python -m bench.<name>`."""
