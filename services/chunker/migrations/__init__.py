"""The chunker's schema, step by step."""
