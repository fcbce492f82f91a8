"""Signing: ML-DSA keys, signatures over records, and the transparency log that holds them."""
