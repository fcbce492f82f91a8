"""Execution: jobs and their states, the worker, the engines and the marketplace algorithms."""
