"""The witness: looks at the log from outside, and signs only what extends all that it has seen."""
