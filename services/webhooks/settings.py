"""What webhooks reads from the environment beyond the common settings."""

from __future__ import annotations

from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings


class WebhooksSettings(CommonSettings, frozen=True, kw_only=True):
    """`previous_secret_minutes`: how long the old secret of an endpoint is still accepted after a rotation.
    `hook_check_minutes`: how often a standing hook is asserted again, for somebody may have deleted it by hand.
    """

    previous_secret_minutes: int = 60
    hook_check_minutes: int = 1440

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.auth_url:
            raise ConfigurationError("AUTH_URL is not set: hooks are made with tokens that auth lends")
        if not 0 <= self.previous_secret_minutes <= 1440:
            raise ConfigurationError("PREVIOUS_SECRET_MINUTES must lie between 0 and 1440")
        if not 1 <= self.hook_check_minutes <= 43_200:
            raise ConfigurationError("HOOK_CHECK_MINUTES must lie between 1 and 43200")
