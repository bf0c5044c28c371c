"""GitHub: issues, pull requests, repositories and code."""
