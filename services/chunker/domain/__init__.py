"""Plain values and rules of the chunker, without I/O."""
