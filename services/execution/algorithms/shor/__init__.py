"""shor.factor.v1: small numbers factored by order finding."""
