"""The contracts that a provider implements; vendors live in libs/providers, one folder each."""
