"""The HTTP edge that every service serves, and the one client that calls out."""
