"""Every SQL statement that the chunker runs, by what it is about."""
