"""What the demo asks, expects and shows, without a stack."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from libs.local.client import Gateway, Told
from libs.local.demo.hits import drawn, headings
from libs.local.demo.page import write_demo_page
from libs.local.demo.popup import posted
from libs.local.demo.searches import Answered, Question, ask, expected_questions, questions_from_titles
from libs.local.demo.story import StepFailed, Story
from libs.local.demo.wanted import Wanted
from libs.local.endpoints import Endpoints
from libs.local.state import State
from libs.providers.github.sandbox.generate import ISSUES, UNMERGED_PULLS
from libs.providers.github.sandbox.texts import varied
from services.auth.page import refusing_page, telling_page
from services.auth.use_cases.oauth.park import Told as PageTold

ROOT = Path(__file__).resolve().parents[3]
QUESTION = Question(query="what wraps the key", type="file", name="libs/vault.py")


def hit(path: str | None, name: str = "vault.py", kind: str = "file", text: str = "a <key> here") -> dict[str, Any]:
    return {
        "score": 3.5, "highlights": [{"text": text, "ranges": [(3, 6)]}],
        "chunk": {"id": f"c-{path}", "text": text, "path": ["Vault"]},
        "source": {"id": f"s-{path}", "type": kind, "name": name, "path": path},
    }  # fmt: skip


class Answering(Gateway):
    """A front door that gives the same hits to every search."""

    def __init__(self, hits: list[dict[str, Any]]) -> None:
        self.hits = hits
        self.asked: list[dict[str, Any]] = []

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        self.asked.append(body)
        return {"items": self.hits}


def test_every_expected_document_stands_in_the_checkout_or_in_the_fixed_material() -> None:
    questions = expected_questions(ROOT)
    assert [one.type for one in questions] == ["file", "issue", "pull_request"]
    assert (ROOT / questions[0].name).is_file()
    assert questions[1].name in {varied(number).title for number in range(ISSUES)}
    always_open = {f"Note on {varied(number).title}" for number in range(UNMERGED_PULLS)}
    assert questions[2].name in always_open


def test_every_expected_document_holds_words_in_quotes_so_that_no_vector_under_way_can_hide_it() -> None:
    file, issue, pull = expected_questions(ROOT)
    for question, text in ((file, (ROOT / file.name).read_text()), (issue, issue.name), (pull, pull.name)):
        quoted = question.query.split('"')[1]
        assert quoted.casefold() in text.casefold()


def test_expected_document_among_the_first_answers_is_marked() -> None:
    door = Answering([hit("libs/other.py"), hit("libs/vault.py")])
    assert ask(door, "default", QUESTION).expected["chunk"]["id"] == "c-libs/vault.py"
    assert door.asked == [{"query": QUESTION.query, "filters": {"types": ["file"]}, "limit": 3}]


@pytest.mark.parametrize("hits", [[], [hit("libs/other.py")], [hit("libs/vault.py", kind="issue")]])
def test_missing_expected_document_is_told_by_name(hits: list[dict[str, Any]]) -> None:
    with pytest.raises(Told, match=r"does not find the file libs/vault\.py"):
        ask(Answering(hits), "default", QUESTION)


def test_unprepared_repository_is_asked_by_the_first_words_of_its_titles() -> None:
    sources = [
        {"type": "file", "status": "failed", "name": "x.py", "path": "x.py"},
        {"type": "file", "status": "ready", "name": "a.py", "path": "src/deep/a.py"},
        {"type": "issue", "status": "ready", "name": "One two (three) four five six seven", "path": None},
    ]
    assert questions_from_titles(sources) == [
        Question(query="src deep a py", type="file", name="src/deep/a.py"),
        Question(query="One two three four five six", type="issue", name="One two (three) four five six seven"),
    ]
    with pytest.raises(Told):
        questions_from_titles(sources[:1])


def test_environment_chooses_the_sandbox_or_ones_own_repository() -> None:
    played, own = Wanted.of({"DEMO_EXIT": "1"}), Wanted.of({"GITHUB_TOKEN": "t", "REPO": "Octo/Cat.x"})
    assert (played.sandbox, played.leave, played.workspace) == (True, True, "default")
    assert (own.sandbox, own.leave, own.workspace, own.repository) == (False, False, "demo.octo.cat.x", "Octo/Cat.x")
    assert own.body()["resources"] == ["Octo/Cat.x"]
    assert own.body()["monitorChanges"] is False  # nobody asked us to put hooks on a real repository


@pytest.mark.parametrize(
    "environ", [{"REPO": "a/b"}, {"REPO": "a", "GITHUB_TOKEN": "t"}, {"REPO": "a/b/c", "GITHUB_TOKEN": "t"}]
)
def test_half_a_wish_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(Told):
        Wanted.of(environ)


def test_popup_page_is_read_as_a_browser_runs_it() -> None:
    told = PageTold(
        attempt_id="a", origin="https://app.example", redirect_url="https://app.example/x?y=<z>", handle="h"
    )
    read = posted(telling_page(told)[0])
    assert read.message == {"source": "sluice", "attemptId": "a", "handle": "h"}
    assert (read.origin, read.back) == ("https://app.example", "https://app.example/x?y=<z>#attemptId=a&handle=h")


def test_page_that_tells_nobody_is_no_message() -> None:
    with pytest.raises(Told, match="tells its opener nothing"):
        posted(refusing_page("Too late", "Too late")[0])


def test_failing_step_says_which_and_what_to_do() -> None:
    screen = Console(record=True, width=100, file=io.StringIO())
    story = Story(screen)
    with pytest.raises(StepFailed), story.step("searched"):
        raise Told("nothing was found", "look at the log")
    text = screen.export_text()
    assert "✗ searched" in text
    assert "nothing was found" in text
    assert "look at the log" in text


def test_figure_is_one_plain_line_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    Story(Console(width=20)).figure("resync_304", 6, against=6)
    assert capsys.readouterr().out == "figure resync_304 value=6 against=6\n"


def test_provider_texts_are_shown_as_they_are_never_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=120).print(drawn([hit(None, name="[red]loud[/red]", text="[b]x[/b] key")]))
    assert "[red]loud[/red]" in capsys.readouterr().out


def test_headings_leave_out_the_title_that_is_told_already() -> None:
    assert headings("Note on a thing", ["Note on a thing", "Why"]) == "Why"


def test_page_shows_answers_escaped_and_no_secret(tmp_path: Path) -> None:
    state = State.at(tmp_path)
    endpoints = Endpoints(
        gateway="http://127.0.0.1:1", services={"auth": "http://127.0.0.1:2"}, kafka="127.0.0.1:3",
        kafka_flavour="embedded", redis="redis://127.0.0.1:4", postgres="postgresql://127.0.0.1:5", sandbox=None,
        key_file=str(state.api_key), credentials_file="c", logs="l",
    )  # fmt: skip
    found = hit("libs/vault.py", text="a <key> & 'more'")
    answered = Answered(question=QUESTION, hits=[found], expected=found)
    write_demo_page(
        state, endpoints, workspace="default", repository="o/n", counts={"file": 1200}, answers=[answered],
        figures={"change_to_search": 0.25},
    )  # fmt: skip
    page = (state.pages / "index.html").read_text()
    assert "a &lt;<mark>key</mark>&gt; &amp;" in page
    assert "<key>" not in page
    assert "1,200" in page
    assert "/openapi/chunker" in page
    assert json.dumps({"query": QUESTION.query})[1:-1] in page.replace("&quot;", '"').replace('":"', '": "')
