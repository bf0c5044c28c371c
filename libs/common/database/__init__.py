"""Transactions, roles, row-level security, leases and migrations."""
