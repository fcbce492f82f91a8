"""Noisy circuits from error rates: what execution runs as twins and routing predicts by. Pure; it imports no part."""
