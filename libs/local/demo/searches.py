"""The demo's questions: what is asked, and which document has to be among the first answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from libs.local.client import Gateway, Json, Told

EXPECTED = Path("tests/e2e/demo_expected.json")
FIRST = 3


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A source of `type` with this `name` (a file: its path) must be among the first answers; `path` narrows."""

    query: str
    type: str
    name: str
    path: str = ""

    @property
    def filters(self) -> Json:
        return {"types": [self.type]} | ({"path": self.path} if self.path else {})

    def means(self, source: Json) -> bool:
        return bool(source["type"] == self.type and self.name in (source["name"], source["path"]))


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    question: Question
    hits: list[Json]
    expected: Json


def expected_questions(root: Path) -> list[Question]:
    """One about code, one about an issue, one about a pull request.

    Each quotes some words: they narrow both rankings, so the answer does not hang on how many vectors are made by now.
    """
    return msgspec.json.decode((root / EXPECTED).read_bytes(), type=list[Question])


def ask(door: Gateway, workspace: str, question: Question) -> Answered:
    """Raises Told when the expected document is not among the first answers."""
    body = {"query": question.query, "filters": question.filters, "limit": FIRST}
    hits = list(door.post(f"/v1/workspaces/{workspace}/search", body)["items"])
    expected = find(hits, question)
    if expected is None:
        got = "; ".join(hit["source"]["path"] or hit["source"]["name"] for hit in hits) or "nothing"
        raise Told(
            f'"{question.query}" does not find the {question.type} {question.name} but: {got}.',
            "After a change of the checkout the sandbox still plays the old one: `make down; rm -r .sluice/sandbox`.",
        )
    return Answered(question=question, hits=hits, expected=expected)


def find(hits: Sequence[Json], question: Question) -> Json | None:
    return next((hit for hit in hits if question.means(hit["source"])), None)


def questions_from_titles(sources: Sequence[Json]) -> list[Question]:
    """For a repository nobody prepared: one synced source of each kind, asked for by the first words of its title."""
    found: list[Question] = []
    for kind in ("file", "issue", "pull_request"):
        named = [one for one in sources if one["type"] == kind and one["status"] == "ready" and _words(one["name"])]
        if named:
            title = named[0]["path"] or named[0]["name"]
            found.append(Question(query=_words(title), type=kind, name=title))
    if not found:
        raise Told(
            "Nothing was synced that could be searched for.", "Is the repository empty, or the token without access?"
        )
    return found


def _words(title: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in title).split()[:6])
