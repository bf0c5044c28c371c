"""What auth reads from the environment beyond the common settings."""

from __future__ import annotations

from typing import Annotated

from libs.common.errors import ConfigurationError
from libs.common.settings import SealingSettings, means
from services.auth.domain.attempt import LONGEST_SECONDS


class AuthSettings(SealingSettings, frozen=True, kw_only=True):
    """All of it has a default but the key."""

    teardown_seconds: Annotated[
        int, means("how long a disconnected grant is still lent, for removing hooks at the provider")
    ] = 60
    idempotency_hours: Annotated[int, means("how long the answer to an Idempotency-Key is kept")] = 24
    oauth_seconds: Annotated[int, means("how long a user has for a provider's consent page, at most 600")] = 600

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.teardown_seconds <= 3600:
            raise ConfigurationError("TEARDOWN_SECONDS must lie between 1 and 3600")
        if not 1 <= self.idempotency_hours <= 168:
            raise ConfigurationError("IDEMPOTENCY_HOURS must lie between 1 and 168")
        if not 1 <= self.oauth_seconds <= LONGEST_SECONDS:
            raise ConfigurationError(f"OAUTH_SECONDS must lie between 1 and {LONGEST_SECONDS}")
