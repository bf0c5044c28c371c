"""Pure rules of the sync engine: no await, no I/O."""
