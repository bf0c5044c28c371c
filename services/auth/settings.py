"""What auth reads from the environment beyond the common settings."""

from __future__ import annotations

from base64 import b64decode

from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings


class AuthSettings(CommonSettings, frozen=True, kw_only=True):
    """`teardown_seconds`: how long a grant stays lendable after a disconnect, for removing hooks at the provider."""

    teardown_seconds: int = 60
    idempotency_hours: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.teardown_seconds <= 3600:
            raise ConfigurationError("TEARDOWN_SECONDS must lie between 1 and 3600")
        if not 1 <= self.idempotency_hours <= 168:
            raise ConfigurationError("IDEMPOTENCY_HOURS must lie between 1 and 168")

    def kek(self) -> bytes:
        return b64decode(self.sluice_kek)
