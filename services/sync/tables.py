"""The tables of this schema by who may see them; their SQL is in migrations/versions.

- resource, resource_stream: what is synced, and where each stream of it resumes (one cursor a stream).
- work, dirty_object, discovery, cleanup, poll_schedule, observed_state: small hot tables that workers claim from.
- resource_watch: what looks and deliveries told of a resource, and how fresh it is; counted across workspaces.
- run, run_resource: the report over the resources of one request.
- source, source_part: the copy; tombstones stay, emptied, until the workspace is erased.
- feed_floor: how far the retained rows of a workspace have lost their beginning (a trigger of the outbox writes it).
- push: each move of what is followed; changed_file: the paths of a pull request, or of a push and then of its source.
- sweep: each whole listing with its certificate; held_deletion and held_source: what the fuse kept from going;
  buried_source: what a listing deleted, for a while, so that it can come back; captured_page: answers that did not fit.
- heard_delivery: which deliveries were heard, so that one that is told again is no news.
- listing_seen lives only during a full listing; validator holds the ETags of committed pages; quarantined_item what
  did not fit the provider's contract.
"""

from __future__ import annotations

TENANT_TABLES = (
    "known_workspace",
    "known_integration",
    "resource",
    "resource_stream",
    "listing_seen",
    "validator",
    "quarantined_item",
    "source",
    "source_part",
    "changed_file",
    "push",
    "run",
    "run_resource",
    "sweep",
    "held_deletion",
    "held_source",
    "buried_source",
    "captured_page",
    "heard_delivery",
)
QUEUE_TABLES = (
    "observed_state", "work", "dirty_object", "discovery", "cleanup", "poll_schedule", "feed_floor", "resource_watch",
)  # fmt: skip
LOCATABLE = ("known_integration", "resource", "source", "run", "sweep", "held_deletion", "captured_page")
