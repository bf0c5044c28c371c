"""What webhooks reads from the environment beyond the common settings."""

from __future__ import annotations

from typing import Annotated

from libs.common.errors import ConfigurationError
from libs.common.settings import SealingSettings, means, placed


class WebhooksSettings(SealingSettings, frozen=True, kw_only=True):
    """It seals the secrets of its endpoints itself and asks auth for everything else."""

    auth_url: Annotated[str, placed("auth inside the network: lends the tokens that hooks are made with")]
    previous_secret_minutes: Annotated[int, means("how long a rotated secret of an endpoint still verifies")] = 60
    hook_check_minutes: Annotated[
        int, means("how often a standing hook is asserted again: somebody may have deleted it by hand")
    ] = 1440

    missed_check_minutes: Annotated[
        int, means("how often a hook is looked through for deliveries that failed; also whenever the service starts")
    ] = 30
    sync_replicas: Annotated[
        int, means("processes of sync and webhooks that share budgets as long as Redis has not told how many live")
    ] = 4
    delivery_days: Annotated[
        int, means("how long a delivery can be looked at and replayed, and a repeat of it is told from a new one")
    ] = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.previous_secret_minutes <= 1440:
            raise ConfigurationError("PREVIOUS_SECRET_MINUTES must lie between 0 and 1440")
        if not 1 <= self.missed_check_minutes <= 1440:
            raise ConfigurationError("MISSED_CHECK_MINUTES must lie between 1 and 1440")
        if self.sync_replicas < 1:
            raise ConfigurationError("SYNC_REPLICAS must be at least 1")
        if not 8 <= self.delivery_days <= 3650:  # providers send again what failed up to a week ago
            raise ConfigurationError("DELIVERY_DAYS must lie between 8 and 3650")
        if not 1 <= self.hook_check_minutes <= 43_200:
            raise ConfigurationError("HOOK_CHECK_MINUTES must lie between 1 and 43200")
