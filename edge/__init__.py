"""The REST edge: HTTP in front of the mesh, and nothing else. It renames and converts; the services decide."""
