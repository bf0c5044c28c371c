"""Which site the demo crawls, and what is told of an address that is none before anything is started."""

from __future__ import annotations

import pytest

from libs.local.client import Told
from libs.local.demo.sites import Asked, place_of
from libs.local.demo.wanted import Wanted


@pytest.mark.parametrize("site", ["docs.example.com", "ftp://docs.example.com/", "https://", "https:// x"])
def test_site_that_is_no_address_is_told_before_anything_starts(site: str) -> None:
    with pytest.raises(Told, match="not the address of a site"):
        Wanted.of({"SITE": site})


def test_own_site_has_a_workspace_of_its_own() -> None:
    assert Wanted.of({"SITE": "https://docs.example.com/guide/"}).site == "https://docs.example.com/guide/"
    assert Asked.own("https://docs.example.com/guide/").workspace == "demo.site.docs.example.com"
    assert Asked.own("http://[2001:db8::1]/").workspace == "demo.site.2001-db8--1"


def test_played_site_is_the_sandboxs() -> None:
    assert Asked.played("http://127.0.0.1:8090").url == "http://127.0.0.1:8090/docusaurus/"


@pytest.mark.parametrize(("anchor", "place"), [("", "https://x/a"), ("part", "https://x/a#part")])
def test_place_of_a_hit_is_its_page_and_the_heading_in_it(anchor: str, place: str) -> None:
    assert place_of({"source": {"url": "https://x/a"}, "chunk": {"anchor": anchor}}) == place
