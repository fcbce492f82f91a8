"""Routing: the catalogue of backends, and the choice among them."""
