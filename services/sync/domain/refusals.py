"""Refusals of this service that a client tells apart by their code."""

from __future__ import annotations

from libs.common.errors import InvalidState


class Paused(InvalidState):
    code = "integration_paused"
    title = "The integration is paused; resume it first"


class GrantLost(InvalidState):
    code = "grant_lost"
    title = "The provider no longer accepts this connection; reconnect it first"


class NothingChosen(InvalidState):
    code = "nothing_chosen"
    title = "No feature is chosen that could be synced; choose one first"


class FeatureOff(InvalidState):
    code = "feature_off"
    title = "The feature that these belong to is switched off; switch it on first"
