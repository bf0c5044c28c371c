"""Connects the demo's repository, or takes up the connection that an earlier demo left."""

from __future__ import annotations

from dataclasses import dataclass

from libs.local.client import Control, Gateway, Json, Refused
from libs.local.demo.consenting import Consented, through_own_page, through_popup
from libs.local.demo.waiting import until
from libs.local.demo.wanted import FEATURES, PROVIDER, SANDBOX_REPOSITORY, Wanted

OWN_PAGE_WORKSPACE = "demo-callback"


@dataclass(frozen=True)
class Connected:
    """`run` is the one to follow; `consent` tells how the popup went, None for a token."""

    integration: Json
    run: Json
    new: bool
    consent: Consented | None = None


def connect(door: Gateway, wanted: Wanted, control: Control | None = None) -> Connected:
    """By consent where somebody plays the provider (`control`), else by token."""
    place = f"/v1/workspaces/{wanted.workspace}"
    door.put(place)
    known = _connected(door, wanted.workspace)
    if known is None:
        made, consent = _made(door, place, wanted, control)
        return Connected(made, first_run(door, made["id"]), True, consent)
    consent = _consented_again(door, known, control)
    return Connected(known, _again(door, known, wanted), False, consent)


def _made(door: Gateway, place: str, wanted: Wanted, control: Control | None) -> tuple[Json, Consented | None]:
    if control is None:
        return door.post(f"{place}/integrations", {**wanted.body(), "token": wanted.token}), None
    consent = through_popup(door, control, lambda back: door.post(f"{place}/connect", {**wanted.body(), **back}))
    return consent.integration, consent


def _consented_again(door: Gateway, known: Json, control: Control | None) -> Consented | None:
    """The same person once more: a new grant for what is connected already."""
    if control is None:
        return None
    return through_popup(door, control, lambda back: door.post(f"/v1/integrations/{known['id']}/reconnect", back))


def connect_and_leave(door: Gateway, control: Control) -> Consented:
    """The second way in a workspace of its own, kept small; it is disconnected again."""
    place = f"/v1/workspaces/{OWN_PAGE_WORKSPACE}"
    door.put(place)
    left = _connected(door, OWN_PAGE_WORKSPACE)
    if left is not None:
        door.delete(f"/v1/integrations/{left['id']}")
    small = {"provider": PROVIDER, "features": ["repositories"], "resources": [SANDBOX_REPOSITORY]}
    done = through_own_page(door, control, lambda back: door.post(f"{place}/connect", {**small, **back}))
    door.delete(f"/v1/integrations/{done.integration['id']}")
    return done


def _connected(door: Gateway, workspace: str) -> Json | None:
    everything = door.pages(f"/v1/workspaces/{workspace}/integrations")
    return next((one for one in everything if one["type"] == PROVIDER), None)


def _again(door: Gateway, known: Json, wanted: Wanted) -> Json:
    """What an earlier demo left may have been paused, refused or configured otherwise since."""
    place = f"/v1/integrations/{known['id']}"
    if known["status"] == "error" and not wanted.sandbox:
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
