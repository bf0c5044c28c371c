"""Webhooks: takes providers' deliveries, proves them, keeps them, and says "look again"; makes and removes hooks."""
