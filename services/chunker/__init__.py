"""The chunker: turns changed sources into chunks, summaries and search answers."""
