"""What a site allows us to read: robots.txt by RFC 9309, longest match, for our own name."""

from __future__ import annotations

from protego import Protego

from libs.common.errors import ProviderUnavailable
from libs.common.provider.client import HttpAnswer

AGENT = "sluice"
LONGEST_DELAY = 10.0  # seconds; a site that asks for more is read at this pace
LARGEST = 512 * 1024


class Robots:
    def __init__(self, text: str) -> None:
        self._rules = Protego.parse(text)

    def allows(self, url: str) -> bool:
        return bool(self._rules.can_fetch(url, AGENT))

    @property
    def delay(self) -> float:
        return min(float(self._rules.crawl_delay(AGENT) or 0), LONGEST_DELAY)

    @property
    def sitemaps(self) -> tuple[str, ...]:
        return tuple(self._rules.sitemaps)


def read_robots(answer: HttpAnswer) -> Robots:
    """A missing file allows everything; a site that fails to answer is not read (RFC 9309 section 2.3.1)."""
    if answer.status >= 500 or answer.status == 429:
        raise ProviderUnavailable(f"the site answered {answer.status} for its robots.txt, so nothing of it is read")
    if answer.status != 200:
        return Robots("")
    return Robots(answer.body[:LARGEST].decode("utf-8", "replace"))
