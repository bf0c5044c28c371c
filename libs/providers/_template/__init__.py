"""Template: a whole small provider that connects by token and lists documents; `make new-provider` copies it."""
