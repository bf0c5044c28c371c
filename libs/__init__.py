"""The packages that services share."""
