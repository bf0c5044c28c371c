"""The loops of the chunker."""
