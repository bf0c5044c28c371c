"""What may be asked of a provider, and when: budgets and breakers, shared by all replicas while Redis answers."""
