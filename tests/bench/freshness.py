"""From a provider's change to a search that finds it: at 20 changes a second, beside a document of 1 MB, and a backlog.

Run by `python -m tests.bench freshness`. The played GitHub tells of each change by a hook; every tenth change is asked
for by its own word. Where the seconds go is read from the rows of all. Vectors follow by a worker of their own and are
waited for apart.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import numpy as np

from libs.common.testing.eventually import eventually
from libs.local.client import Json
from libs.local.demo.connecting import first_run
from libs.local.demo.counting import wait_until_indexed
from libs.local.demo.following import wait_for
from libs.local.endpoints import read_credentials
from tests.bench.freshness_stages import cpu_seconds, tell_cpu, tell_stages
from tests.chaos.stack import Stack, running_stack

RATE, SECONDS, SAMPLED = 20, 30, 10
LOOKS_EVERY_S = 0.1
SWAPPED = "SELECT name FROM chunker.indexed_source WHERE workspace_id = $1 AND name = ANY($2::text[])"
TARGET_S = 2.0
BACKLOG = 10_000
REPOSITORY, LARGE_REPOSITORY = "sandbox/fresh", "sandbox/backlog"
WORKSPACE = "fresh"
PATIENCE_S = 300.0  # a machine that cannot keep up tells how late it was
MEGABYTE = 1_000_000


def main() -> None:
    with running_stack() as stack:
        asyncio.run(_bench(stack))


async def _bench(stack: Stack) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))  # nobody here waits for a thread
    stack.control.change("create_repository", fullName=REPOSITORY, files={"README.md": "# Fresh\n"})
    _connect(stack, WORKSPACE, REPOSITORY, ["issues", "code"])
    await eventually(lambda: _is_hooked(stack), timeout=PATIENCE_S)
    await _changes(stack, "freshness")
    await _vectors_follow(stack)
    await _changes(stack, "freshness_beside_1mb", large=True)
    await _drain(stack)


def _connect(stack: Stack, workspace: str, repository: str, features: Sequence[str]) -> str:
    stack.door.put(f"/v1/workspaces/{workspace}")
    body: Json = {
        "provider": "github", "token": "ghp_sandbox", "features": list(features), "resources": [repository],
        "monitorChanges": True, "pollingEnabled": False,
    }  # fmt: skip
    made = stack.door.post(f"/v1/workspaces/{workspace}/integrations", body)
    wait_for(stack.door, first_run(stack.door, made["id"])["id"], 600.0)
    return str(made["id"])


def _is_hooked(stack: Stack) -> bool:
    return any(hook["active"] for hook in stack.control.truth(REPOSITORY)["hooks"])


async def _changes(stack: Stack, figure: str, *, large: bool = False) -> None:
    """Each change has its time, whatever the ones before it took."""
    watch = Watch(stack)
    watching = asyncio.create_task(watch.run())
    began, before = time.monotonic(), cpu_seconds(stack)
    waiting: list[asyncio.Task[float]] = []
    making: list[asyncio.Task[tuple[str, float]]] = []
    pushing: list[asyncio.Task[None]] = []
    for n in range(RATE * SECONDS):
        await asyncio.sleep(max(0.0, began + n / RATE - time.monotonic()))
        if large and n == RATE * 2:
            pushing.append(asyncio.create_task(asyncio.to_thread(_push_a_megabyte, stack)))
        word = _word()
        made = asyncio.create_task(asyncio.to_thread(_open_issue, stack, word))
        making.append(made)
        if n % SAMPLED == 0:
            waiting.append(asyncio.create_task(watch.found(word, made)))
    seconds = await asyncio.gather(*waiting)
    watching.cancel()
    made_at = dict(await asyncio.gather(*making))
    await asyncio.gather(*pushing)
    _tell(figure, seconds)
    await tell_stages(stack, figure, made_at)
    tell_cpu(figure, before, cpu_seconds(stack), len(made_at))


def _word() -> str:
    return "".join(secrets.choice("bcdfghjkmpqvwxz") for _ in range(14))


def _open_issue(stack: Stack, word: str) -> tuple[str, float]:
    """The key that its hook names, and when the provider had it."""
    title, body = f"About {word}", f"A sentence on {word}. " * 20
    made = stack.control.change("open_issue", repository=REPOSITORY, title=title, body=body)
    return f"issue:{made['number']}", time.time()


def _push_a_megabyte(stack: Stack) -> None:
    lines = "".join(f"## Part {n}\n\nWords of part {n} that are told once more, at length. {'More of it. ' * 20}\n\n"
                    for n in range(MEGABYTE // 320))  # fmt: skip
    stack.control.change("push", repository=REPOSITORY, files={"docs/large.md": lines})


class Watch:
    """One question for all that is waited for, so that waiting is no load.

    A search is asked when a source is swapped in, and must find it: what is committed is searchable.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def found(self, word: str, made: asyncio.Task[tuple[str, float]]) -> float:
        """Seconds from the moment at which the provider has the change."""
        await made
        began = time.monotonic()
        self._waiting[f"About {word}"] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(PATIENCE_S):
            await self._waiting[f"About {word}"]
        body = {"query": word, "limit": 1, "filters": {"types": ["issue"]}}
        answer = await asyncio.to_thread(self._stack.door.post, f"/v1/workspaces/{WORKSPACE}/search", body)
        assert any(word in one["chunk"]["text"] for one in answer["items"]), f"{word} is indexed and not found"
        return time.monotonic() - began

    async def run(self) -> None:
        connection = await asyncpg.connect(read_credentials(self._stack.state).admin)
        try:
            while True:
                await asyncio.sleep(LOOKS_EVERY_S)
                for row in await connection.fetch(SWAPPED, WORKSPACE, list(self._waiting)):
                    self._waiting.pop(row["name"]).set_result(None)
        finally:
            await connection.close()


def _tell(figure: str, seconds: Sequence[float]) -> None:
    for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
        value = float(np.quantile(seconds, share))
        print(f"figure {figure}_{name} value={value:.2f} unit=s against={TARGET_S:g} ratio={value / TARGET_S:.3f}",
              flush=True)  # fmt: skip


async def _vectors_follow(stack: Stack) -> None:
    began = time.monotonic()

    async def embedded() -> bool:
        return not await stack.number("SELECT count(*) FROM chunker.embed_wanted")

    await eventually(embedded, timeout=PATIENCE_S)
    print(f"figure freshness_vectors_behind value={time.monotonic() - began:.2f} unit=s"
          f" against={RATE * SECONDS}_changes", flush=True)  # fmt: skip


async def _drain(stack: Stack) -> None:
    """The memory at a quarter of the backlog beside the most that was seen after it."""
    stack.control.ask("POST", "seed", {"issues": BACKLOG, "comments": 0, "repository": LARGE_REPOSITORY})
    began = time.monotonic()
    syncing = asyncio.create_task(asyncio.to_thread(_connect, stack, "backlog", LARGE_REPOSITORY, ["issues"]))
    early, late, done = 0.0, 0.0, 0
    while done < BACKLOG:
        await asyncio.sleep(0.5)
        done = await stack.number("SELECT count(*) FROM chunker.indexed_source WHERE workspace_id = 'backlog'")
        resident = _resident_mb(stack)
        if done <= BACKLOG // 4:
            early = max(early, resident)
        else:
            late = max(late, resident)
    await syncing
    wait_until_indexed(stack.door, "backlog", PATIENCE_S)
    seconds = time.monotonic() - began
    print(f"figure backlog_drained value={BACKLOG / seconds:.0f} unit=sources/s against={BACKLOG}")
    print(f"figure backlog_memory value={late:.0f} unit=MB against={early:.0f} ratio={late / early:.3f}", flush=True)


def _resident_mb(stack: Stack) -> float:
    identity = stack.entry("chunker").identity
    assert identity is not None, "the chunker does not run"
    status = Path(f"/proc/{identity.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
