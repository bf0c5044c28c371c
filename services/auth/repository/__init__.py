"""Every SQL statement of auth; each runs inside a transaction bound to one workspace."""
