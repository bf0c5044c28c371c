"""The demo's documentation site: the caller's own (SITE), or the one that the sandbox serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from libs.local.client import Gateway, Json, Told
from libs.local.demo.connecting import first_run
from libs.local.demo.counting import read_sources, wait_until_indexed
from libs.local.demo.following import follow
from libs.local.demo.story import Story

PROVIDER = "docusaurus"
SANDBOX_WORKSPACE = "demo-site"
SANDBOX_QUESTION = "export the key in the fish shell"  # answered by a tab that the page hides


@dataclass(frozen=True)
class Asked:
    """A site to crawl, the workspace that it gets of its own, and a question for it ("" = one of its titles)."""

    url: str
    workspace: str
    question: str = ""

    @classmethod
    def own(cls, site: str) -> Asked:
        return cls(site, re.sub(r"[^A-Za-z0-9.-]", "-", f"demo.site.{urlsplit(site).hostname}")[:128])

    @classmethod
    def played(cls, sandbox: str) -> Asked:
        return cls(f"{sandbox}/{PROVIDER}/", SANDBOX_WORKSPACE, SANDBOX_QUESTION)


def show_site(door: Gateway, story: Story, asked: Asked) -> None:
    with story.step("site connected") as step:
        made = connect_site(door, asked)
        step.say(f"{made['account']['name']} at {asked.url}, nobody's account")
    with story.step("site crawled") as step:
        run = follow(door, first_or_next_run(door, made), screen=story.screen, words="crawl")
        wait_until_indexed(door, asked.workspace)
        pages = read_sources(door, asked.workspace)
        step.say(f"{len(pages):,} pages of text in {run['counts']['requests']:,} requests")
    with story.step("site searched") as step:
        question = asked.question or str(pages[len(pages) // 2]["name"])
        step.say(f"“{question}” is answered at {place_of(best_hit(door, asked.workspace, question))}")
    story.figure("site_pages", len(pages))


def connect_site(door: Gateway, asked: Asked) -> Json:
    """What an earlier demo connected is taken up again, unless it was another address."""
    door.put(f"/v1/workspaces/{asked.workspace}")
    place = f"/v1/workspaces/{asked.workspace}/integrations"
    for known in door.pages(place):
        if known["type"] == PROVIDER and known["config"].get("url") == asked.url:
            return {**known, "again": True}
        door.delete(f"/v1/integrations/{known['id']}")
    return door.post(place, {"provider": PROVIDER, "url": asked.url, "pollingEnabled": True})


def first_or_next_run(door: Gateway, made: Json) -> str:
    place = f"/v1/integrations/{made['id']}"
    return str(door.post(f"{place}/sync")["id"] if made.get("again") else first_run(door, made["id"])["id"])


def best_hit(door: Gateway, workspace: str, question: str) -> Json:
    hits = door.post(f"/v1/workspaces/{workspace}/search", {"query": question, "limit": 1})["items"]
    if not hits:
        raise Told(f'"{question}" finds no page of the site.', "`sluice status` tells what runs.")
    found: Json = hits[0]
    return found


def place_of(hit: Json) -> str:
    """Where a browser opens it: the page, and the heading in it."""
    url, anchor = hit["source"]["url"], hit["chunk"]["anchor"]
    return f"{url}#{anchor}" if anchor else str(url)
