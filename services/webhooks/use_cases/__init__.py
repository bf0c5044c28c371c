"""The verbs of webhooks: receive a delivery, follow auth and sync, settle hooks, operate."""
