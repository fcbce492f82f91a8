"""Everything that puts the mesh onto machines."""
