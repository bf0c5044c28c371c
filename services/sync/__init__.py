"""Keeps a faithful copy of what an integration may see, page by page, and tells everyone what changed."""
