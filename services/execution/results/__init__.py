"""Results too large for a signed record: stored under their digest, which the record has."""
