"""Live machines, reached through accounts at their providers."""
