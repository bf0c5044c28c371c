"""What an installation on other machines needs of us: its settings, its keys, its database, its gateway."""
