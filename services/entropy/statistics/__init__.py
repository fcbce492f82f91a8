"""Statistical tests of bit sequences: SP 800-22 rev. 1a, and the non-IID estimators of SP 800-90B. Pure."""
