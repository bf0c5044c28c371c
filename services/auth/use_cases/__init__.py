"""The verbs of auth; each opens its transaction, and none holds one while a provider is asked."""
