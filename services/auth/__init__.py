"""Workspaces, integrations and their credentials."""
