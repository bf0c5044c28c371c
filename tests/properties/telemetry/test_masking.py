"""Whatever is logged, masking it takes no longer than its length allows."""

import pytest

from libs.common.telemetry.masking import mask

PUMPED = ("a", "eyJ", "://", "token=", "Bearer ", "http://", "Basic a", "ghp_", "-----BEGIN ")


@pytest.mark.timeout(20)  # seconds; a quadratic look takes minutes
@pytest.mark.parametrize("piece", PUMPED)
def test_masking_of_long_text_stays_linear(piece: str) -> None:
    assert mask(piece * (200_000 // len(piece)))
