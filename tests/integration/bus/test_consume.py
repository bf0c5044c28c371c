"""Nothing that reaches a consumer is lost: F01 and F16 in CI size, on whichever broker the run has."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from libs.common.bus.consume import Consumers, create_consumer_component
from libs.common.bus.dead_letters import list_dead_letters, replay
from libs.common.bus.policy import Backoff
from libs.common.database.engine import Database
from libs.common.events import IntegrationConnected
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from tests.integration.bus import rig
from tests.support.figures import Tell

QUICK = Backoff(first=0.02, factor=2.0, longest=0.2)
MESSAGES = 900
BUGGY = {("key-3", 29), ("key-17", 11), ("key-25", 5)}
FAIL_FOUR_PARKS = """
CREATE SEQUENCE parks;
GRANT USAGE ON SEQUENCE parks TO auth_worker;
CREATE FUNCTION fail_four() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF nextval('parks') <= 4 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
CREATE TRIGGER fail_four BEFORE INSERT ON dead_letter FOR EACH ROW EXECUTE FUNCTION fail_four();
"""


async def send(bus: rig.Bus, count: int, bad: dict[int, str]) -> dict[int, int]:
    """`count` records over 30 keys, each key's versions rising; `bad` says which places are spoiled and how.

    Answers the end of each partition.
    """
    async with rig.producer_to(bus) as producer:
        sent = []
        for number in range(count):
            event = rig.connected(f"key-{number % 30}", number // 30 + 1)
            body, headers = msgspec.json.encode(event), rig.headers()
            match bad.get(number):
                case "header":
                    headers = rig.headers(ce_id=b"\xff\xfe\x00")
                case "json":
                    body = b'{"workspace_id": "ws-bus", '
                case "schema":
                    body = b'{"workspace_id": "ws-bus", "version": "three"}'
            sent.append(await producer.send(rig.TOPIC, body, key=event.key.encode(), headers=headers))
        places = [await future for future in sent]
    return {place.partition: place.offset + 1 for place in sorted(places, key=lambda place: place.offset)}


@pytest.mark.parametrize("together", [False, True])
async def test_bad_messages_among_900_are_parked_and_none_is_lost(
    postgres: Postgres, name: str, db: Database, bus: rig.Bus, figure: Tell, together: bool
) -> None:
    bad = {10: "header", 11: "json", 12: "schema", 450: "header", 451: "json", 452: "schema", 898: "header"}
    consumers = Consumers(f"room-900-{together}")
    calls: Counter[tuple[str, int]] = Counter()
    largest = 0
    repaired = False

    async def on_connected(events: Sequence[IntegrationConnected], deps: Database) -> None:
        nonlocal largest
        largest = max(largest, len(events))
        async with deps.transaction(rig.WORKSPACE) as tx:
            for event in events:
                place = (event.integration_id, event.version)
                calls[place] += len(events) == 1
                if place in BUGGY and not repaired:
                    raise KeyError("a bug of ours")
                await rig.write_effects(tx, event)

    async def on_one(event: IntegrationConnected, deps: Database) -> None:
        await on_connected((event,), deps)

    if together:
        consumers.consume_many(IntegrationConnected)(on_connected)
    else:
        consumers.consume(IntegrationConnected)(on_one)

    async with rig.as_owner(postgres, db, name) as owner:
        await owner.execute(FAIL_FOUR_PARKS)
    ends = await send(bus, MESSAGES, bad)
    component = create_consumer_component(consumers, db, db, bus, backoff=QUICK)
    async with rig.running(component):

        async def finished() -> None:
            assert await rig.committed(bus, consumers.group) == ends

        await eventually(finished, timeout=30)
    rows = await rig.seen(db)
    letters = await list_dead_letters(db)
    lost = MESSAGES - len(rows) - len(letters)
    assert (largest > 1) is together
    figure("F01_consumed", lost, "lost", MESSAGES)
    assert lost == 0
    assert len(letters) == len(bad) + len(BUGGY)
    assert {letter.attempts for letter in letters if letter.error_code == "KeyError"} == {QUICK.tries}
    assert all(calls[place] == QUICK.tries for place in BUGGY)
    assert Counter(letter.error_code for letter in letters)["unreadable_message"] == len(bad)
    assert rig.disorder(rows) == 0
    assert {row["times"] for row in rows} == {1}
    async with rig.as_owner(postgres, db, name) as owner:
        assert await owner.fetchval("SELECT last_value FROM parks") == 4 + len(letters)

    repaired = True
    replayed = await replay(db, [letter.id for letter in letters], consumers, db)
    assert len(replayed.done) == len(BUGGY)
    assert len(replayed.failed) == len(bad)
    assert len(await rig.seen(db)) == MESSAGES - len(bad)
    assert len(await list_dead_letters(db)) == len(bad)
