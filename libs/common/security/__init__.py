"""Who is calling, and how secrets are kept."""
