"""Names of files that are no UTF-8: git holds any bytes, and no file is lost for its name."""

from __future__ import annotations

import subprocess

import httpx

from tests.integration.sync.conftest import API_KEY
from tests.integration.sync.hub import Hub

ODD, ODDER = b"caf\xe9.md", b"caf\xe8.md"
SHOWN = "caf\ufffd.md"


def commit(hub: Hub, files: dict[bytes, str]) -> str:
    """By git's plumbing, which takes a name as the bytes that it is; answers the commit before."""
    place = ["git", "-C", str(hub.state / "github" / "git" / f"{hub.number}.git")]
    before = hub.git("rev-parse", "main").strip()

    def run(*words: str, given: bytes = b"") -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        return (
            subprocess.run([*place, *who, *words], check=True, capture_output=True, input=given).stdout.decode().strip()
        )

    blobs = {name: run("hash-object", "-w", "--stdin", given=text.encode()) for name, text in files.items()}
    tree = run("mktree", "-z", given=b"".join(b"100644 blob %s\t%s\0" % (sha.encode(), n) for n, sha in blobs.items()))
    run("update-ref", "refs/heads/main", run("commit-tree", tree, "-p", before, "-m", "odd names"))
    return before


async def texts(hub: Hub) -> dict[str, str]:
    rows = await hub.admin.fetch("SELECT path, content FROM source WHERE type = 'file' AND NOT tombstone ORDER BY path")
    return {row["path"]: row["content"] for row in rows}


async def pulled(hub: Hub) -> None:
    await hub.hint(hub.number, "code")
    await hub.work()


async def test_files_whose_names_look_alike_are_both_kept_and_told(hub: Hub) -> None:
    await hub.begin({"a.md": "# A\n"})
    before = commit(hub, {b"a.md": "# A\n", ODD: "# Acute\n", ODDER: "# Grave\n"})
    await pulled(hub)
    held = await texts(hub)
    assert sorted(held.values()) == ["# A\n", "# Acute\n", "# Grave\n"]
    assert len([path for path in held if path.startswith(SHOWN)]) == 2
    rows = await hub.rows(hub.git("rev-parse", "main").strip())
    assert [row.status for row in rows] == ["added", "added"]
    assert {row.path for row in rows} == held.keys() - {"a.md"}
    assert before != hub.git("rev-parse", "main").strip()
    transport = httpx.ASGITransport(app=hub.app())  # type: ignore[arg-type]  # ASGI by two names
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sync", headers=headers) as api:
        for path in held:
            answer = await api.get(f"/v1/workspaces/{hub.workspace}/changed-files", params={"path": path})
            assert answer.status_code == 200
            assert len(answer.json()["items"]) == (path != "a.md")


async def test_edited_and_deleted_odd_name_follows_and_its_neighbour_stays(hub: Hub) -> None:
    await hub.begin({"a.md": "# A\n"})
    commit(hub, {b"a.md": "# A\n", ODD: "# Acute\n", ODDER: "# Grave\n"})
    await pulled(hub)
    commit(hub, {b"a.md": "# A\n", ODD: "# Acute, edited\n", ODDER: "# Grave\n"})
    await pulled(hub)
    assert sorted((await texts(hub)).values()) == ["# A\n", "# Acute, edited\n", "# Grave\n"]
    commit(hub, {b"a.md": "# A\n", ODDER: "# Grave\n"})
    await pulled(hub)
    assert sorted((await texts(hub)).values()) == ["# A\n", "# Grave\n"]
    assert await hub.one("SELECT count(*) FROM quarantined_item") == 0
