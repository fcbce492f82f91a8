"""Accounts: teams, users and their API keys."""
