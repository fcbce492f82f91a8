"""Billing: plans, quotas, holds and the double-entry ledger."""
