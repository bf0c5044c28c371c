"""The demo from beginning to end: each step either says what came of it, or ends it with what was wrong."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.padding import Padding

from libs.local.client import Control, Gateway, Json
from libs.local.demo import searches
from libs.local.demo.changing import Change, backlog, catch_up, change_and_search, sync_unchanged
from libs.local.demo.connecting import connect, connect_and_leave
from libs.local.demo.consenting import ORIGIN, OWN_PAGE, Consented
from libs.local.demo.counting import counted, read_sources, wait_until_indexed
from libs.local.demo.following import follow
from libs.local.demo.hits import drawn
from libs.local.demo.page import write_demo_page
from libs.local.demo.searches import Answered
from libs.local.demo.sites import Asked, show_site
from libs.local.demo.starting import start
from libs.local.demo.story import StepFailed, Story
from libs.local.demo.wanted import Wanted
from libs.local.endpoints import Endpoints
from libs.local.state import State
from libs.local.up import StartFailed, current_page, down

TITLE = "Sluice: a repository through four services and one broker, searchable and kept in step"
CHANGE_SECONDS = 3


@dataclass
class Demo:
    """What one step leaves for the next."""

    story: Story
    root: Path
    wanted: Wanted
    endpoints: Endpoints
    door: Gateway
    integration: Json = field(default_factory=dict)
    sources: list[Json] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)

    @property
    def control(self) -> Control | None:
        return Control(self.endpoints.sandbox) if self.endpoints.sandbox and self.wanted.sandbox else None


def run(root: Path, wanted: Wanted, screen: Console) -> bool:
    """Whether every step held. What it started it also stops; data stays."""
    page = current_page(State.at(root))
    ours = page is None or page.sandbox != wanted.sandbox
    story = Story(screen)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell in the background has them ignored
        signal.signal(number, signal.default_int_handler)
    try:
        story.title(TITLE, f"{wanted.repository}, {'played by the sandbox' if wanted.sandbox else 'at GitHub'}")
        demo = _started(root, wanted, story)
        _steps(demo)
        if not wanted.leave:
            _serve(demo)
        return True
    except StepFailed:
        return False
    except StartFailed as error:
        screen.print(f"[bold red]✗ starting[/bold red]  {error}", markup=True)
        return False
    except KeyboardInterrupt:
        return False
    finally:
        if ours:
            screen.print("[dim]stopping what was started; data stays in .sluice/[/dim]")
            down(root)


def _started(root: Path, wanted: Wanted, story: Story) -> Demo:
    endpoints = start(root, sandbox=wanted.sandbox, screen=story.screen)
    story.figure("demo_start", round(story.seconds, 1), unit="s")
    key = Path(endpoints.key_file).read_text().strip()
    return Demo(story=story, root=root, wanted=wanted, endpoints=endpoints, door=Gateway(endpoints.gateway, key))


def _steps(demo: Demo) -> None:
    if demo.wanted.site:
        show_site(demo.door, demo.story, Asked.own(demo.wanted.site))
    _sync(demo)
    _search(demo)
    control = demo.control
    if control is not None:
        _change(demo, control)
        _resync(demo, control)
        _connect_the_other_way(demo, control)
    if demo.endpoints.sandbox and control is not None and not demo.wanted.site:
        show_site(demo.door, demo.story, Asked.played(demo.endpoints.sandbox))
    demo.story.figure("demo", round(demo.story.seconds, 1), unit="s", against=60)
    _publish(demo)


def _sync(demo: Demo) -> None:
    story, wanted = demo.story, demo.wanted
    with story.step("connected") as step:
        done = connect(demo.door, wanted, demo.control)
        demo.integration = done.integration
        who = f"GitHub as {demo.integration['account']['name']} in workspace {wanted.workspace}"
        known = "" if done.new else ", which an earlier demo left"
        popup = f", by consent in a popup that spoke to {ORIGIN} alone" if done.consent else ""
        step.say(who + known + popup)
    _consent_figures(story, "popup", done.consent)
    with story.step("synced") as step:
        run = follow(demo.door, done.run["id"], screen=story.screen)
        step.say(_summary(run["counts"]))
    with story.step("indexed") as step:
        wait_until_indexed(demo.door, wanted.workspace)
        demo.sources = read_sources(demo.door, wanted.workspace)
        step.say(f"{len(demo.sources):,} sources are searchable")
    story.screen.print(Padding(counted(demo.sources), (0, 0, 1, 2)))


def _connect_the_other_way(demo: Demo, control: Control) -> None:
    with demo.story.step("connected the other way") as step:
        done = connect_and_leave(demo.door, control)
        step.say(f"code and state came to {OWN_PAGE}; disconnected again")
    _consent_figures(demo.story, "own_page", done)


def _consent_figures(story: Story, way: str, done: Consented | None) -> None:
    if done is not None:
        story.figure(f"oauth_{way}", round(done.seconds, 2), unit="s")
        story.figure(f"oauth_{way}_token_requests", done.token_requests, against=1)


def _summary(counts: Json) -> str:
    names = ("created", "updated", "unchanged", "deleted")
    said = [f"{counts[name]:,} {name}" for name in names if counts.get(name)]
    return f"{', '.join(said) or 'nothing new'} in {counts['requests']:,} requests"


def _search(demo: Demo) -> None:
    for question in _questions(demo):
        with demo.story.step(f"“{question.query}”") as step:
            answered = searches.ask(demo.door, demo.wanted.workspace, question)
            step.say(f"in {question.type.replace('_', ' ')}s, expects {question.name}")
        demo.answers.append(answered)
        demo.story.screen.print(drawn(answered.hits, answered.expected["chunk"]["id"]))
    demo.story.screen.print()


def _questions(demo: Demo) -> Sequence[searches.Question]:
    if demo.wanted.sandbox:
        return searches.expected_questions(demo.root)
    with demo.story.step("questions"):
        return searches.questions_from_titles(demo.sources)


def _change(demo: Demo, control: Control) -> None:
    if told_again := backlog(demo.endpoints.kafka):
        with demo.story.step("caught up") as step:
            catch_up(demo.endpoints.kafka)
            step.say(
                f"the broker had forgotten everything: the last {told_again:,} messages told again changed nothing"
            )
    with demo.story.step("changed") as step:
        change: Change = change_and_search(demo.door, control, demo.wanted.workspace, demo.integration["id"])
        step.say(f"a commit at the provider was found by a search {change.seconds:.2f} s later, {change.way}")
    demo.story.screen.print(drawn([change.hit]))
    demo.story.figure("change_to_search", round(change.seconds, 2), unit="s", against=CHANGE_SECONDS)


def _resync(demo: Demo, control: Control) -> None:
    with demo.story.step("synced again") as step:
        quiet = sync_unchanged(demo.door, control, demo.endpoints.kafka, demo.wanted.workspace, demo.integration["id"])
        step.say(f"nothing had changed: {quiet.requests} requests, {quiet.not_modified} answered with 304")
    demo.story.figure("resync_events", quiet.events)
    demo.story.figure("resync_chunked", quiet.chunked)
    demo.story.figure("resync_304", quiet.not_modified, against=quiet.requests)


def _publish(demo: Demo) -> None:
    write_demo_page(
        State.at(demo.root), demo.endpoints, workspace=demo.wanted.workspace, repository=demo.wanted.repository,
        counts=Counter(str(one["type"]) for one in demo.sources), answers=demo.answers, figures=demo.story.figures,
    )  # fmt: skip
    demo.story.screen.print(f"\n[bold]Look at it:[/bold] [cyan]{demo.endpoints.gateway}/[/cyan]")


def _serve(demo: Demo) -> None:
    demo.story.screen.print("[dim]Ctrl-C ends it; data stays for the next time.[/dim]")
    _until_interrupted(signal.pause)


def _until_interrupted(wait: Callable[[], None]) -> None:
    try:
        while True:
            wait()
    except KeyboardInterrupt:
        return
