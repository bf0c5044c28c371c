"""The verbs of sync: each opens its transaction and emits its events."""
