"""How much may go without anybody being asked."""

from __future__ import annotations

FEW = 10  # so many may always go: in a small place a few are soon a large share


def blows(count: int, of: int, share: float) -> bool:
    """Whether `count` of `of` live sources are too many to believe a listing that no longer shows them."""
    return count > FEW and count > of * share
