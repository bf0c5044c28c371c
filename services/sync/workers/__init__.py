"""The loops of sync: each step claims one piece of work by lease, does it, and says how it ended."""
