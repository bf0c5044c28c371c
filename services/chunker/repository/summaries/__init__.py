"""The summary tree in Postgres: a source's part, what is wanted, the levels above, and how it is read."""
