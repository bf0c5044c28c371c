"""The kernel: what every service trusts; no vendor's name appears here."""
