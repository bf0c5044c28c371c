"""The verbs of the chunker: each opens its transaction and emits its events."""
