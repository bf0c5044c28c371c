"""What a user may set for the sites of an integration, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.common.errors import InvalidInput
from libs.common.sites.addresses import origin_of_url, site_at
from libs.common.sites.survey import Rules

KNOWN = ("url", "sites", "versions", "maxPages", "secondsBetweenRequests", "sitemap", "largestRemoval")
MOST_SITES = 20
MOST_PAGES = 50_000
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 60.0


def clean_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Raises InvalidInput with a pointer below /config."""
    for name in config:
        if name not in KNOWN:
            raise InvalidInput(f"a site has these settings: {', '.join(KNOWN[1:])}", pointer=f"/config/{name}")
    _checked_url(config, "url")
    _checked_url(config, "sitemap")
    for index, site in enumerate(_list(config, "sites", MOST_SITES)):
        site_at(site, pointer=f"/config/sites/{index}")
    _checked_versions(config)
    _number(config, "maxPages", 1, MOST_PAGES, whole=True)
    _number(config, "secondsBetweenRequests", SHORTEST_PAUSE, LONGEST_PAUSE)
    _number(config, "largestRemoval", 0, 1)
    return dict(config)


def rules_of(config: Mapping[str, Any], site: str) -> Rules:
    """`sitemap` counts for the site on whose host it stands."""
    versions = config.get("versions", "latest")
    sitemap = str(config.get("sitemap", ""))
    return Rules(
        versions=versions if isinstance(versions, str) else tuple(versions),
        most_pages=int(config.get("maxPages", 5000)),
        pause=float(config.get("secondsBetweenRequests", 0.5)),
        sitemap=sitemap if origin_of_url(sitemap) == origin_of_url(site) else "",
        largest_removal=float(config.get("largestRemoval", 0.2)),
    )


def sites_of(config: Mapping[str, Any]) -> list[str]:
    """The connected site first, each once."""
    named = [str(config.get("url", "")), *(str(one) for one in config.get("sites", ()))]
    return list(dict.fromkeys(site_at(one).url for one in named if one))


def _checked_url(config: Mapping[str, Any], name: str) -> None:
    if name not in config:
        return
    if not isinstance(config[name], str):
        raise InvalidInput("this is an address", pointer=f"/config/{name}")
    site_at(config[name], pointer=f"/config/{name}")


def _checked_versions(config: Mapping[str, Any]) -> None:
    if config.get("versions") in (None, "latest", "all"):
        return
    if isinstance(config["versions"], str) or not _list(config, "versions", 50):
        raise InvalidInput('versions is "latest", "all", or a list of names', pointer="/config/versions")


def _list(config: Mapping[str, Any], name: str, most: int) -> list[str]:
    found = config.get(name, [])
    if not isinstance(found, list | tuple) or len(found) > most or not all(isinstance(one, str) for one in found):
        raise InvalidInput(f"{name} is a list of at most {most} texts", pointer=f"/config/{name}")
    return list(found)


def _number(config: Mapping[str, Any], name: str, least: float, most: float, *, whole: bool = False) -> None:
    if name not in config:
        return
    value = config[name]
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    if isinstance(value, bool) or not fits or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        raise InvalidInput(f"{name} is {kind} from {least:g} to {most:g}", pointer=f"/config/{name}")
