"""The services of the mesh: one package each, of one shape; they meet only on the wire."""
