"""Accounts: teams, users, their API keys, and their credentials at providers."""
