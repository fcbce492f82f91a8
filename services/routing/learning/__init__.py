"""What routing learns from jobs that have ended."""
