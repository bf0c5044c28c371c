"""Every SQL statement that sync runs, by what it is about."""
