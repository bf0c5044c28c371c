"""Vectors follow words: each chunk gets one, keeps it while its text stays, and loses it with its source."""

from __future__ import annotations

import json

import pytest

from services.chunker.chunking.tokens import counter
from services.chunker.use_cases import reading, workspaces
from tests.integration.chunker.conftest import Rig
from tests.integration.chunker.embedding import Double, Embedding
from tests.support.figures import Tell

LACKING = "SELECT count(*) FROM chunk c WHERE NOT EXISTS (SELECT FROM chunk_vector v WHERE v.chunk_pk = c.pk)"
VECTORS = "SELECT count(*) FROM chunk_vector"
WAITING = "SELECT count(*) FROM embed_wanted"


@pytest.fixture
def embedding(rig: Rig) -> Embedding:
    return Embedding(rig, Double())


def paragraphs(count: int, seed: str) -> str:
    """A paragraph each some 100 words, no two alike."""
    sentence = "The {} of part {} keeps what was written in step {} until somebody asks for it again. "
    return "\n\n".join(
        f"## Part {n}\n\n" + "".join(sentence.format(seed, n, f"{n}-{k}") for k in range(8)) for n in range(count)
    )


async def test_chunk_is_found_by_words_at_once_and_by_its_vector_afterwards(rig: Rig, embedding: Embedding) -> None:
    await embedding.worker.step()
    await rig.put("# Restart\n\nStop the server, then start it anew.\n", path="docs/restart.md")
    await rig.put("# Fruit\n\nBananas are yellow.\n", path="docs/fruit.md")
    await rig.index()
    assert await rig.names("bananas") == ["fruit.md"]
    assert await embedding.nearest("bananas") == []
    await embedding.embed()
    assert "Bananas" in (await embedding.texts("yellow bananas"))[0]
    assert "server" in (await embedding.texts("start the server"))[0]
    assert await embedding.counted(LACKING) == await embedding.counted(WAITING) == 0


async def test_chunk_is_as_near_as_the_nearest_of_its_sections(rig: Rig, embedding: Embedding) -> None:
    sections = "# Fruit\n\nBananas are yellow.\n\n# Server\n\nStop it, then start it anew.\n"
    await rig.put(sections, path="docs/both.md")
    await rig.put("# Server\n\nStop it, then start it anew.\n", path="docs/both.md", resource_id="fork")
    await rig.index()
    await embedding.embed()
    assert await embedding.counted(VECTORS) == 3
    first, second = await embedding.nearest("stop the server")
    assert first.similarity == second.similarity > (await embedding.nearest("yellow bananas"))[1].similarity
    assert len(embedding.target.asked) == 2  # the section that both have is embedded once
    assert await embedding.counted(LACKING) == await embedding.counted(WAITING) == 0


async def test_notebook_that_is_run_again_keeps_its_vectors_and_shows_its_new_text(
    rig: Rig, embedding: Embedding
) -> None:
    def run(first: int) -> str:
        told = [f"rows = load('part {n}')\nplot(rows, {n})\n" for n in range(40)]
        cells = [{"cell_type": "code", "execution_count": first + n, "source": said} for n, said in enumerate(told)]
        return json.dumps({"cells": cells, "metadata": {"language_info": {"name": "python"}}}, indent=1)

    source = await rig.put(run(1), path="lab/rows.ipynb")
    await rig.index()
    await embedding.embed()
    asked, vectors = len(embedding.target.asked), await embedding.counted(VECTORS)
    await rig.put(run(101), path="lab/rows.ipynb", source_id=source, version=2)
    await rig.index()
    assert await embedding.counted(LACKING) == await embedding.counted(WAITING) == 0
    assert (len(embedding.target.asked), await embedding.counted(VECTORS)) == (asked, vectors)
    rows = await reading.read_chunks(rig.db, "w1", source, after=-1, limit=1000)
    assert len(rows) == vectors > 3
    assert "".join(row["text"] for row in rows) == run(101)
    assert all(row["tokens"] == counter()(row["text"]) for row in rows)


async def test_section_that_the_model_refuses_keeps_no_other_from_its_vector(rig: Rig, embedding: Embedding) -> None:
    await embedding.worker.step()
    embedding.target.refuses = "unreadable"
    source = await rig.put("# A\n\nThis is unreadable.\n\n# B\n\nBananas are yellow.\n", path="docs/a.md")
    await rig.index()
    await embedding.embed()
    assert await embedding.counted(WAITING) == 0
    assert len(await embedding.texts("bananas")) == 1
    step = (await reading.explain_source(rig.db, "w1", source))[-1]
    assert step.detail.startswith("1 of 1 chunks")


async def test_code_is_embedded_in_words(rig: Rig, embedding: Embedding) -> None:
    await rig.put("def retryAfter(seconds):\n    return now + seconds\n", path="libs/retry.py", name="retry.py")
    await rig.index()
    await embedding.embed()
    assert embedding.target.asked == ["libs retry py\ndef retry After seconds\nreturn now seconds"]


async def test_nobody_finds_a_vector_of_another_workspace(rig: Rig, embedding: Embedding) -> None:
    await rig.put("# A\n\nBananas are yellow.\n", workspace="w1")
    await rig.put("# B\n\nBananas are green.\n", workspace="w2")
    await rig.index()
    await embedding.embed()
    assert [text for text in await embedding.texts("bananas") if "green" in text] == []
    assert len(await embedding.texts("bananas", workspace="w2")) == 1


async def test_edit_of_one_paragraph_of_a_large_document_embeds_three_chunks_at_most(
    rig: Rig, embedding: Embedding, figure: Tell
) -> None:
    text = paragraphs(1200, "memory")
    assert len(text) > 800_000
    source = await rig.put(text, path="docs/large.md")
    await rig.index()
    await embedding.embed()
    all_of_it = len(embedding.target.asked)
    embedding.target.asked.clear()
    edited = text.replace("part 600 keeps what was written in step 600-3", "part 600 forgets all of step 600-3")
    await rig.put(edited, path="docs/large.md", source_id=source, version=2)
    await rig.index()
    await embedding.embed()
    figure("chunks_embedded_after_one_edit", len(embedding.target.asked), "chunks", all_of_it)
    assert 1 <= len(embedding.target.asked) <= 3
    assert await embedding.counted(LACKING) == 0


async def test_vectors_leave_with_their_source_and_with_their_workspace(rig: Rig, embedding: Embedding) -> None:
    gone = await rig.put("# A\n\nBananas are yellow.\n")
    await rig.put("# B\n\nApples are red.\n", path="docs/b.md")
    await rig.index()
    await embedding.embed()
    del rig.owner.held[gone]
    await rig.tell(gone, 2, "deleted")
    await rig.index()
    assert await embedding.counted(VECTORS) == 1
    await rig.put("# C\n\nCherries.\n", path="docs/c.md")
    await rig.index()
    await workspaces.erase_workspace("w1", rig.deps)
    assert await embedding.counted(VECTORS) == await embedding.counted(WAITING) == 0
    await embedding.embed()
    assert await embedding.counted(VECTORS) == 0


async def test_large_document_does_not_delay_the_vectors_of_others(rig: Rig, embedding: Embedding) -> None:
    await rig.put(paragraphs(120, "memory"), path="docs/large.md")
    await rig.index()
    for number in range(3):
        await rig.put(f"# Small {number}\n\nCherries.\n", path=f"docs/{number}.md")
    await rig.index()
    for _ in range(3):
        await embedding.worker.step()
    assert len([text for text in embedding.target.asked if "Cherries" in text]) == 3
    assert len(embedding.target.asked) < 30


async def test_endpoint_that_is_away_delays_vectors_and_nothing_else(rig: Rig, embedding: Embedding) -> None:
    embedding.target.away = True
    await rig.put("# Fruit\n\nBananas are yellow.\n", path="docs/fruit.md")
    await rig.index()
    await embedding.embed()
    assert await rig.names("bananas") == ["fruit.md"]
    assert await embedding.counted(VECTORS) == 0
    assert await embedding.counted("SELECT attempts FROM embed_wanted") == 1
    embedding.target.away = False
    async with rig.db.queue() as tx:
        await tx.execute("UPDATE embed_wanted SET due_at = now()")
    await embedding.embed()
    assert await embedding.counted(LACKING) == 0


async def test_text_that_the_model_refuses_keeps_no_other_from_its_vector(rig: Rig, embedding: Embedding) -> None:
    embedding.target.refuses = "unreadable"
    await rig.put("# A\n\nThis is unreadable.\n", path="docs/a.md")
    await rig.put("# B\n\nBananas are yellow.\n", path="docs/b.md")
    await rig.index()
    await embedding.embed()
    assert await embedding.counted(WAITING) == 0
    assert len(await embedding.texts("bananas")) == 1


async def test_endpoint_that_refuses_everything_marks_no_chunk(rig: Rig, embedding: Embedding) -> None:
    embedding.target.refuses = " "
    await rig.put("# B\n\nBananas are yellow.\n", path="docs/b.md")
    await rig.index()
    await embedding.embed()
    assert (await embedding.counted(VECTORS), await embedding.counted(WAITING)) == (0, 1)


async def test_explain_tells_how_many_chunks_have_a_vector(rig: Rig, embedding: Embedding) -> None:
    await embedding.worker.step()
    source = await rig.put("# Fruit\n\nBananas are yellow.\n", path="docs/fruit.md")
    await rig.index()

    async def said() -> tuple[str, str]:
        step = (await reading.explain_source(rig.db, "w1", source))[-1]
        return step.code, step.detail.partition(" chunks")[0]

    assert await said() == ("vectors_wanted", "0 of 1")
    await embedding.embed()
    assert await said() == ("embedded", "1 of 1")


async def test_text_that_the_workspace_holds_elsewhere_is_embedded_once(rig: Rig, embedding: Embedding) -> None:
    text = "# Fruit\n\nBananas are yellow.\n"
    await rig.put(text, path="docs/fruit.md")
    await rig.index()
    await embedding.embed()
    for fork in range(3):
        await rig.put(text, path="docs/fruit.md", resource_id=f"fork-{fork}")
    await rig.index()
    await embedding.embed()
    assert len(embedding.target.asked) == 1
    assert (await embedding.counted(VECTORS), await embedding.counted(LACKING)) == (4, 0)
    assert len(await embedding.texts("yellow bananas")) == 4


async def test_copies_that_came_together_are_embedded_once(rig: Rig, embedding: Embedding) -> None:
    for fork in range(4):
        await rig.put("# Fruit\n\nBananas are yellow.\n", path="docs/fruit.md", resource_id=f"fork-{fork}")
    await rig.index()
    await embedding.embed()
    assert (len(embedding.target.asked), await embedding.counted(LACKING)) == (1, 0)


async def test_text_of_another_workspace_or_under_another_heading_is_embedded_anew(
    rig: Rig, embedding: Embedding
) -> None:
    await rig.put("# Fruit\n\nBananas are yellow.\n", path="docs/fruit.md")
    await rig.index()
    await embedding.embed()
    await rig.put("# Fruit\n\nBananas are yellow.\n", path="docs/fruit.md", workspace="w2")
    await rig.put("# Fruit\n\nBananas are yellow.\n", path="docs/other.md")
    await rig.index()
    await embedding.embed()
    assert len(embedding.target.asked) == 3


async def test_another_model_reuses_no_vector_of_the_one_before(rig: Rig, embedding: Embedding) -> None:
    await rig.put("# Fruit\n\nBananas are yellow.\n", path="docs/fruit.md")
    await rig.index()
    await embedding.embed()
    following = Embedding(rig, Double(256), embedding.target)
    await following.embed()
    assert len(following.target.asked) == 1
    assert len(await following.texts("yellow bananas")) == 1


async def test_page_of_html_is_embedded_as_people_read_it(rig: Rig, embedding: Embedding) -> None:
    page = '<html><body><h1>Fruit</h1>\n<p class="lead">Bananas &amp; apples are <b>ripe</b>.</p></body></html>\n'
    source = await rig.put(page, path="docs/fruit.html", name="fruit.html", content_type="text/html")
    await rig.index()
    await embedding.embed()
    (asked,) = embedding.target.asked
    assert "Bananas & apples are ripe." in asked
    assert "<" not in asked
    rows = await reading.read_chunks(rig.db, "w1", source, after=-1, limit=10)
    assert "".join(row["text"] for row in rows) == page
