"""Docusaurus: the pages of documentation sites, read politely from the outside."""
