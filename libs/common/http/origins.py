"""Whether a request comes from the pages that a client token was made for, as far as a browser tells it."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.sites.addresses import origin_of_url


class Pages:
    """Both headers are the browser's: no script sets them. Whoever sends without a browser writes what they like."""

    def __init__(self, public_url: str) -> None:
        self._own = origin_of_url(public_url)

    def sent(self, headers: Mapping[str, str], origin: str) -> bool:
        """Browsers leave `Origin` out of a GET within one origin; which one that is says PUBLIC_URL, never `Host`."""
        told = headers.get("origin")
        if told is not None:
            return told == origin
        return headers.get("sec-fetch-site") == "same-origin" and origin == self._own
