"""Every SQL statement of webhooks; each function takes the transaction that it is part of."""
