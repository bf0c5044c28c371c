"""All examples that the provider's community publishes, signed by its own signer, against the running service."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Literal

import httpx
import msgspec
import pytest

from libs.common.provider.webhooks import RawWebhook
from libs.providers.github.webhooks import FACET, HANDLED
from tests.integration.webhooks.world import World
from tests.support.npm import installed, run_node

PROJECT = Path(__file__).parent / "octokit"
SEED = 20261125
AT_ONCE = 8
TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
Kind = Literal["json", "form"]
Outcomes = dict[str, dict[str, int]]


class Example(msgspec.Struct, frozen=True):
    """The same payload in both bodies a hook may ask for, each with the signature of its own bytes."""

    event: str
    json: str
    form: str
    signatures: Mapping[str, str]

    def body(self, kind: Kind) -> bytes:
        return (self.json if kind == "json" else self.form).encode()


class Sent(msgspec.Struct, frozen=True):
    """One delivery: the same twice is the provider's redelivery."""

    example: Example
    key: str
    kind: Kind = "json"

    async def post(self, world: World, body: bytes | None = None, **headers: str) -> httpx.Response:
        headers = {
            "content-type": TYPES[self.kind],
            "x-github-event": self.example.event,
            "x-github-delivery": self.key,
            "x-hub-signature-256": self.example.signatures[self.kind],
            **headers,
        }
        return await world.http.post(world.url, content=body or self.example.body(self.kind), headers=headers)


@pytest.fixture(scope="session")
def project() -> Path:
    return installed(PROJECT)


@pytest.fixture(scope="session")
def expected() -> Outcomes:
    found: Outcomes = msgspec.json.decode((PROJECT / "expected.json").read_bytes(), type=Outcomes)
    return found


def signed(project: Path, secret: str) -> list[Example]:
    lines = run_node(project, "sign.mjs", secret).splitlines()
    return [msgspec.json.decode(line, type=Example) for line in lines]


async def post_all(world: World, deliveries: Sequence[Sent]) -> list[tuple[Sent, httpx.Response]]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(sent: Sent) -> tuple[Sent, httpx.Response]:
        async with gate:
            return sent, await sent.post(world)

    return await asyncio.gather(*map(one, deliveries))


async def stored(world: World) -> Outcomes:
    rows = await world.admin.fetch(
        "SELECT outcome, event, count(*) AS n FROM delivery WHERE workspace_id = $1 GROUP BY 1, 2 ORDER BY 1, 2",
        world.workspace,
    )
    found: Outcomes = {"handled": {}, "ignored": {}, "unknown": {}}
    for row in rows:
        found[row["outcome"]][row["event"]] = row["n"]
    return found


async def test_every_published_payload_posted_twice_is_stored_once_and_counted_in_its_list(
    world: World, project: Path, expected: Outcomes
) -> None:
    examples = signed(project, world.secret)
    twice = [Sent(example, f"guid-{number}") for number, example in enumerate(examples)] * 2
    Random(SEED).shuffle(twice)
    answered = await post_all(world, twice)
    by_key: dict[str, list[int]] = {}
    for sent, response in answered:
        by_key.setdefault(sent.key, []).append(response.status_code)
    assert len(examples) == 329
    assert {tuple(sorted(statuses)) for statuses in by_key.values()} == {(200, 202)}
    assert Counter(response.json()["status"] for _, response in answered)["duplicate"] == 329
    assert await stored(world) == expected
    totals = {name: sum(events.values()) for name, events in expected.items()}
    assert totals == {"handled": 94, "ignored": 235, "unknown": 0}
    assert len(await world.told("webhook.received")) == totals["handled"]
    print(f"figure examples_stored value={sum(totals.values())} unit=payloads against=329 {totals}")


async def test_every_payload_as_a_form_is_read_like_its_json(world: World, project: Path, expected: Outcomes) -> None:
    examples = signed(project, world.secret)
    answered = await post_all(world, [Sent(one, f"form-{at}", "form") for at, one in enumerate(examples)])
    assert {response.status_code for _, response in answered} == {202}
    assert await stored(world) == expected


async def test_every_payload_with_one_byte_changed_is_refused_and_not_stored(world: World, project: Path) -> None:
    examples = signed(project, world.secret)
    chance = Random(SEED)
    gate = asyncio.Semaphore(AT_ONCE)

    async def tampered(number: int, example: Example) -> int:
        body = bytearray(example.body("json"))
        body[chance.randrange(len(body))] ^= 1
        async with gate:
            return (await Sent(example, f"guid-{number}").post(world, bytes(body))).status_code

    statuses = await asyncio.gather(*(tampered(number, one) for number, one in enumerate(examples)))
    assert Counter(statuses) == {401: 329}
    assert await world.count("delivery") == 0
    assert await world.told("webhook.received") == []


def test_payloads_without_an_action_are_read_too(project: Path) -> None:
    """Pushes, pings and ten others have none; which of them hint at something is a matter of their own fields."""
    examples = [one for one in signed(project, "any") if "action" not in msgspec.json.decode(one.json, type=dict)]
    outcomes = Counter((one.event, _parsed(one.event, one)) for one in examples)
    assert len(examples) == 43
    assert {event: n for (event, outcome), n in outcomes.items() if outcome == "handled"} == {"push": 2}
    assert not [event for event, outcome in outcomes if outcome == "unknown"]


def test_no_payload_passes_under_the_name_of_another_event(project: Path) -> None:
    """The name is not signed: whoever has captured one delivery must not make another kind of it."""
    passed = [
        (example.event, name)
        for example in signed(project, "any")
        for name in HANDLED
        if name != example.event and _parsed(name, example) != "unknown"
    ]
    assert passed == []


def _parsed(event: str, example: Example) -> str:
    headers = {"x-github-event": event, "x-github-delivery": "guid"}
    return FACET.parse(RawWebhook(headers=headers, body=example.body("json"))).outcome
