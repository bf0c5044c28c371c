"""The `sluice` command: everything that a person or a script asks of a running installation."""
