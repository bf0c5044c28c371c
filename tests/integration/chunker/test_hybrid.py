"""Words and vectors together: what only one of them knows is found, both held to the filters, pages stay apart."""

from __future__ import annotations

import pytest

from libs.common.http.wire import CursorExpired
from services.chunker.domain.searching import Filters, Question
from services.chunker.use_cases.searching import Answers
from tests.integration.chunker.conftest import Rig
from tests.integration.chunker.embedding import Double, Embedding

ALIKE = {"car": "vehicle", "automobile": "vehicle", "lorry": "vehicle"}


class Meaning(Double):
    """A model that knows what belongs together, whatever the words."""

    async def embed_passages(self, texts):  # type: ignore[no-untyped-def]
        return await super().embed_passages([self._meant(text) for text in texts])

    async def embed_query(self, text: str) -> bytes:
        return await super().embed_query(self._meant(text))

    def _meant(self, text: str) -> str:
        return " ".join(ALIKE.get(word.strip(".").lower(), "") for word in text.split()).strip() or text


@pytest.fixture
async def embedding(rig: Rig) -> Embedding:
    embedding = Embedding(rig, Meaning())
    rig.searcher = rig.searching(queries=embedding.queries)
    await embedding.worker.step()  # the model has its generation before the first source
    return embedding


async def test_text_without_the_querys_words_is_found_by_its_meaning(rig: Rig, embedding: Embedding) -> None:
    await rig.put("The automobile stands outside.\n", path="meant.md")
    await rig.put("Nothing of that kind at all.\n", path="other.md")
    await rig.index()
    assert await rig.names("car") == []
    await embedding.embed()
    assert (await rig.names("car"))[0] == "meant.md"


async def test_explanation_names_both_rankings_and_adds_up_to_the_score(rig: Rig, embedding: Embedding) -> None:
    await rig.put("The car is a word here.\n", path="both.md")
    await rig.put("An automobile.\n", path="meant.md")
    await rig.index()
    await embedding.embed()
    answers = await rig.searcher.search("w1", Question(query="car"), explain=True)
    assert [row["name"] for row in answers.rows] == ["both.md", "meant.md"]
    for one in answers.ranked:
        assert one.score == pytest.approx(sum(leg.weight * leg.normalised for leg in one.legs))
    assert {(leg.leg, leg.rank is None) for leg in answers.ranked[1].legs} == {("lexical", True), ("vector", False)}


async def test_of_a_chunk_without_a_vector_yet_the_words_decide_alone(rig: Rig, embedding: Embedding) -> None:
    for n in range(12):
        await rig.put(f"{'automobile ' * (n % 3 + 1)} number {n}\n", path=f"{n}.md")
    await rig.index()
    await embedding.embed()
    await rig.put(
        "Zebus pull wherever it is that no road is laid for it, and there are many such places.\n", path="z.md"
    )
    await rig.index()
    answers = await rig.searcher.search("w1", Question(query="how is it that a zebu is as good as a car"), explain=True)
    assert answers.rows[0]["name"] == "z.md"
    assert [(leg.leg, leg.weight) for leg in answers.ranked[0].legs] == [("lexical", 1.0), ("vector", 0.0)]
    assert answers.ranked[0].score == 1.0


async def test_vector_that_comes_between_pages_shows_its_chunk_no_second_time(rig: Rig, embedding: Embedding) -> None:
    for n in range(12):
        await rig.put(f"{'car ' * (n % 3 + 1)} number {n}\n", path=f"{n}.md")
    await rig.index()
    await embedding.embed()
    await rig.put("A zebu.\n", path="z.md")
    await rig.index()
    answers = await rig.search("zebu or car", limit=1)
    seen = [row["name"] for row in answers.rows]
    assert seen == ["z.md"]
    await embedding.embed()
    while answers.next_cursor:
        answers = await rig.search("zebu or car", limit=1, cursor=answers.next_cursor)
        seen += [row["name"] for row in answers.rows]
    assert sorted(seen) == sorted([*(f"{n}.md" for n in range(12)), "z.md"])


async def test_pages_go_on_however_many_chunks_have_no_vector_yet(rig: Rig, embedding: Embedding) -> None:
    await rig.put("\n\n".join(f"Car number {n} {'stands still ' * 90}" for n in range(800)))
    await rig.index()
    answers = await rig.search("car", limit=100)
    seen = shown(answers)
    while answers.next_cursor:
        answers = await rig.search("car", limit=100, cursor=answers.next_cursor)
        seen += shown(answers)
    assert len(seen) == len(set(seen)) >= 800


def shown(answers: Answers) -> list[str]:
    return [row["id"] for rows in (answers.rows, *answers.beside) for row in rows]


@pytest.mark.parametrize("fusion", ["minmax", "rrf"])
async def test_filters_and_phrases_hold_both_rankings(rig: Rig, embedding: Embedding, fusion: str) -> None:
    rig.searcher = rig.searching(fusion=fusion, depth=5, queries=embedding.queries)  # type: ignore[arg-type]
    for n in range(20):
        await rig.put("car automobile lorry\n", path=f"src/{n}.md")
    for n in range(3):
        await rig.put(f"an old lorry and no car number {n}\n", path=f"docs/{n}.md")
    await rig.index()
    await embedding.embed()
    assert sorted(await rig.names("car", filters=Filters(path="docs/"))) == ["0.md", "1.md", "2.md"]
    assert sorted(await rig.names('car "old lorry"')) == ["0.md", "1.md", "2.md"]
    assert await rig.names('car "old lorry"', filters=Filters(path="src/")) == []


async def test_pages_hold_every_chunk_once_while_the_index_changes(rig: Rig, embedding: Embedding) -> None:
    sections = "# More\n\nAn automobile.\n\n# Last\n\nOne car.\n"  # of every third: several vectors are of its chunk
    texts = [f"{'car ' * (n % 7)} lorry number {n}\n\n{'' if n % 3 else sections}" for n in range(30)]
    sources = [await rig.put(text, path=f"{n}.md") for n, text in enumerate(texts)]
    await rig.index()
    await embedding.embed()
    rig.searcher = rig.searching(depth=4, queries=embedding.queries)
    seen: list[str] = []
    cursor: str | None = None
    for turn in range(20):
        answers = await rig.search("car number", cursor=cursor, limit=7)
        seen += [row["source_id"] for row in answers.rows]
        if (cursor := answers.next_cursor) is None:
            break
        await rig.put("car car car number\n", path=f"new{turn}.md")
        await rig.index()
        await embedding.embed()
    assert cursor is None
    assert len(seen) == len(set(seen))
    assert set(sources) <= set(seen)


async def test_model_that_comes_between_pages_changes_no_order_and_one_that_goes_is_told(
    rig: Rig, embedding: Embedding
) -> None:
    for n in range(12):
        await rig.put(f"{'car ' * (n + 1)} lorry number {n}\n", path=f"{n}.md")
    await rig.index()
    await embedding.embed()
    with_model, without = rig.searching(queries=embedding.queries), rig.searching()
    rig.searcher = without
    answers = await rig.search("car number", limit=4)
    seen = [row["source_id"] for row in answers.rows]
    rig.searcher = with_model
    while answers.next_cursor:
        answers = await rig.search("car number", limit=4, cursor=answers.next_cursor)
        seen += [row["source_id"] for row in answers.rows]
    assert len(seen) == len(set(seen)) == 12
    answers = await rig.search("car number", limit=4)
    rig.searcher = without
    with pytest.raises(CursorExpired):
        await rig.search("car number", limit=4, cursor=answers.next_cursor)
