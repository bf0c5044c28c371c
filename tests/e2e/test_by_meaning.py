"""With the bundled model: a replica that embeds joins a line of words alone, and leaves it, while searches go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.testing.eventually import eventually
from libs.local.client import Gateway
from libs.local.ledger import read_ledger
from libs.local.ports import free_port
from libs.local.state import State
from tests.e2e.conftest import Line
from tests.e2e.place import Place, connect, ended, found_place

PATIENCE_S = 45.0
FILES = {
    "docs/restart.md": "# Daemon\n\nStart the daemon again once it has died: systemctl start app.\n",
    "docs/fruit.md": "# Fruit\n\nBananas turn from green to a bright yellow while they ripen.\n",
    "docs/fees.md": "# Fees\n\nA card that is declined is charged two euros.\n",
}
QUESTION = "how do I bring the service back after a crash"
NO_TRACE = (
    "DELETE FROM chunker.embed_wanted",
    "DELETE FROM chunker.chunk_vector",
    "DO $$ DECLARE name text; BEGIN FOR name IN SELECT indexname FROM pg_indexes WHERE schemaname = 'chunker'"
    " AND indexname LIKE 'chunk_vector_nearest_%' LOOP EXECUTE format('DROP INDEX chunker.%I', name); END LOOP; END $$",
    "DELETE FROM chunker.embedding_generation",
)


@dataclass
class Replica:
    """Of the chunker, asked at its own port."""

    url: str
    key: str
    place: Place

    def search(self, query: str) -> list[dict[str, Any]]:
        body = {"query": query, "limit": 3, "explain": True}
        with Gateway(self.url, self.key) as asked:
            return list(asked.post(f"/v1/workspaces/{self.place.workspace}/search", body)["items"])

    def vectors(self, source: str) -> str:
        with Gateway(self.url, self.key) as asked:
            steps = asked.get(f"/v1/workspaces/{self.place.workspace}/sources/{source}/explain")["steps"]
        return next(str(step["code"]) for step in steps if step["step"] == "vectors")


@pytest.fixture
async def replica(line: Line, bundled_model: Path) -> AsyncIterator[Callable[[Place], Replica]]:
    """Of the same settings but for the embedder. What it leaves behind is taken away: the line is one of words."""
    port = free_port()
    own = {
        "EMBEDDER": "bundled", "EMBEDDING_MODEL_DIR": str(bundled_model), "HTTP_PORT": str(port),
        "EMBEDDING_BATCH": "4",  # the line's own workspace is embedded in turns with the test's
    }  # fmt: skip
    log = State.at(line.root).logs / "chunker-by-meaning.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.chunker", "serve",
            env={**environment_of(line, "chunker"), **own}, cwd=line.root, stdout=out, stderr=out,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        await eventually(lambda: ready(url), timeout=PATIENCE_S)
        yield lambda place: Replica(url, line.key, place)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 25)
        for statement in NO_TRACE:
            await line.sql(statement)


async def test_question_in_other_words_finds_its_document_and_words_are_found_all_the_while(
    line: Line, replica: Callable[[Place], Replica]
) -> None:
    place = found_place(line, files=FILES)
    ended(place, connect(place, features=("code",), monitor=False))
    asked = replica(place)
    await embed_only(line, "default", place.workspace)

    def best() -> str:
        assert place.search("bananas")[0]["source"]["path"] == "docs/fruit.md"  # by the one that has no model
        hits = asked.search(QUESTION)
        assert hits
        legs = {leg["leg"]: leg["rank"] for leg in hits[0]["explanation"]["legs"]}
        assert legs == {"lexical": None, "vector": 1}  # by none of its words
        return str(hits[0]["source"]["path"])

    await eventually(lambda: best() == "docs/restart.md", timeout=PATIENCE_S)
    word = line.word()
    place.change("push", files={"docs/sky.md": f"# Sky\n\n{word}: at noon the heavens are azure.\n"})
    place.sync()
    (hit,) = await eventually(lambda: place.search(word), timeout=PATIENCE_S)
    await eventually(lambda: asked.vectors(hit["source"]["id"]) == "embedded", timeout=PATIENCE_S)
    assert asked.search("which colour has the air above us in daytime")[0]["source"]["path"] == "docs/sky.md"
    assert best() == "docs/restart.md"


async def embed_only(line: Line, *workspaces: str) -> None:
    """How many others the tests before this one have left says nothing here, and each is given its share."""
    await eventually(lambda: line.sql("SELECT FROM chunker.embedding_generation"), timeout=PATIENCE_S)
    await line.sql("DELETE FROM chunker.embed_wanted WHERE workspace_id <> ALL($1)", list(workspaces))


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).json()["checks"]["embedder"] is True
    except httpx.HTTPError:
        return False


def environment_of(line: Line, service: str) -> dict[str, str]:
    page = read_ledger(State.at(line.root).ledger)
    assert page is not None
    identity = page.processes[service].identity
    assert identity is not None, f"{service} does not run"
    pairs = Path(f"/proc/{identity.pid}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
