"""Connects the demo's repository, or takes up the connection that an earlier demo left."""

from __future__ import annotations

from libs.local.client import Gateway, Json, Refused
from libs.local.demo.waiting import until
from libs.local.demo.wanted import FEATURES, PROVIDER, Wanted


def connect(door: Gateway, wanted: Wanted) -> tuple[Json, Json, bool]:
    """(integration, the run to follow, whether it is new)."""
    door.put(f"/v1/workspaces/{wanted.workspace}")
    known = _connected(door, wanted.workspace)
    if known is None:
        made = door.post(f"/v1/workspaces/{wanted.workspace}/integrations", wanted.body())
        return made, first_run(door, made["id"]), True
    return known, _again(door, known, wanted), False


def _connected(door: Gateway, workspace: str) -> Json | None:
    everything = door.pages(f"/v1/workspaces/{workspace}/integrations")
    return next((one for one in everything if one["type"] == PROVIDER), None)


def _again(door: Gateway, known: Json, wanted: Wanted) -> Json:
    """What an earlier demo left may have been paused, refused or configured otherwise since."""
    place = f"/v1/integrations/{known['id']}"
    if known["status"] == "error":
        door.post(f"{place}/reconnect", {"token": wanted.token})
    elif known["status"] == "inactive":
        door.post(f"{place}/resume")
    settings = {"features": FEATURES, "monitorChanges": wanted.sandbox, "pollingEnabled": True}
    if any(_differs(known[name], value) for name, value in settings.items()):
        door.patch(place, settings)
    return until(
        lambda: _request(door, known["id"]), seconds=20, failing="The connection of an earlier demo cannot be synced"
    )


def _request(door: Gateway, integration: str) -> Json | None:
    return door.post(f"/v1/integrations/{integration}/sync")


def _differs(one: object, other: object) -> bool:
    return sorted(one) != sorted(other) if isinstance(one, list) and isinstance(other, list) else one != other


def first_run(door: Gateway, integration: str) -> Json:
    """Connecting always starts one run: sync has it as soon as it has heard."""

    def run() -> Json | None:
        try:
            found = door.get(f"/v1/integrations/{integration}/sync-runs")["items"]
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return found[-1] if found else None

    return until(run, seconds=30, failing="Connecting started no sync")
