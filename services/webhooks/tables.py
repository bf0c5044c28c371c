"""Webhooks' Postgres schema, told as lists: what belongs to a workspace, what workers claim, what is found by id.

known_workspace  a workspace that has, or had, an integration here
integration      projection of auth's desired state by version, and the version of the hook state we report
resource         projection of sync's selection by version
endpoint         one inbound URL an integration: its unguessable id is the URL's last part; secrets sealed
delivery         every verified delivery with its raw bytes, each once by the provider's id and by its body
subscription     what hook is wanted of a resource, what stands at the provider, for which public address, seen when;
                 up to when it was looked through for deliveries that failed
missed_delivery  what the provider could not deliver, and how often it was asked to send it again
"""

from __future__ import annotations

TENANT_TABLES: tuple[str, ...] = (
    "known_workspace",
    "integration",
    "resource",
    "endpoint",
    "delivery",
    "subscription",
    "missed_delivery",
)
# Deliveries of many workspaces share one commit, so the worker role writes them; of subscriptions it reads which are
# due for a look.
QUEUE_TABLES: tuple[str, ...] = ("delivery", "subscription")
LOCATABLE: tuple[str, ...] = ("integration", "endpoint", "delivery")
