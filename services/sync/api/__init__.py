"""The HTTP surface of sync: parse, one use case, answer."""

from __future__ import annotations

from services.sync.api.captures import list_captured_pages, read_captured_page
from services.sync.api.deletions import (
    apply_held_deletion,
    list_held_deletions,
    list_sweeps,
    read_held_deletion,
    reject_held_deletion,
    restore_held_deletion,
    restore_sweep,
)
from services.sync.api.explain import explain_object
from services.sync.api.feed import list_changes
from services.sync.api.internal import read_batch
from services.sync.api.quarantine import list_quarantined, retry_quarantined
from services.sync.api.resources import choose_resources, list_resources
from services.sync.api.runs import (
    cancel_run,
    follow_run,
    list_runs,
    read_run,
    sync_integration,
    sync_workspace,
)
from services.sync.api.sources import (
    list_changed_files,
    list_changed_files_of_source,
    list_sources,
    read_source,
)

HANDLERS = (
    sync_integration,
    sync_workspace,
    read_run,
    follow_run,
    cancel_run,
    list_runs,
    list_sweeps,
    restore_sweep,
    list_held_deletions,
    read_held_deletion,
    apply_held_deletion,
    reject_held_deletion,
    restore_held_deletion,
    list_quarantined,
    retry_quarantined,
    list_captured_pages,
    read_captured_page,
    list_resources,
    choose_resources,
    list_sources,
    read_source,
    list_changed_files_of_source,
    list_changed_files,
    list_changes,
    explain_object,
    read_batch,
)
