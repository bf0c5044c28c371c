"""`.env.example` and the table of docs/operating.md, made of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

from libs.local.deploy.settings import Group, Setting
from libs.local.state import SERVICES

EXAMPLE, OPERATING = Path(".env.example"), Path("docs/operating.md")
BEGIN = "<!-- settings: made by `python -m libs.local.deploy write` -->"
END = "<!-- end of settings -->"
HEADINGS: dict[Group, str] = {
    "secret": "Secrets: every one must be set; `make env` makes them",
    "address": "What the world sees",
    "provider": "Providers: your registrations there, and other installations of them",
    "tuning": "Tuning",
    "placed": "Where the parts are: docker-compose.yml and `make up` set these, you where you start a service yourself",
}
HEAD = """\
    # Every setting of Sluice. Made by `python -m libs.local.deploy write`, checked by `make check`.
    # `make env` copies it to .env with fresh secrets. `NAME=` must be set; `# NAME=value` shows the default.
    # An empty variable counts as not set. In brackets: who reads it.
    """


def example(settings: Sequence[Setting]) -> str:
    return dedent(HEAD) + "".join(_group(group, settings) for group in HEADINGS)


def _group(group: Group, settings: Sequence[Setting]) -> str:
    lines = [_example_line(setting) for setting in settings if setting.group == group]
    return f"\n# --- {HEADINGS[group]}\n\n" + "".join(lines)


def _example_line(setting: Setting) -> str:
    open_line = f"{setting.name}={setting.default or ''}"
    given = setting.group == "secret"
    need = " REQUIRED." if given or setting.default is None else ""
    return f"# {setting.meaning} [{_readers(setting)}]{need}\n{'' if given else '# '}{open_line}\n"


def _readers(setting: Setting) -> str:
    return "all" if setting.readers == SERVICES else ", ".join(setting.readers)


def operating(text: str, settings: Sequence[Setting]) -> str:
    """The page with its table made anew. Raises ValueError when the marks of the table are missing."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{OPERATING} has lost the marks of its settings table")
    return f"{before}{BEGIN}\n{table(settings)}{END}{after}"


def table(settings: Sequence[Setting]) -> str:
    head = "| variable | default | read by | meaning |\n|---|---|---|---|\n"
    return head + "".join(_row(setting) for group in HEADINGS for setting in settings if setting.group == group)


def _row(setting: Setting) -> str:
    shown = "**required**" if setting.default is None else f"`{setting.default}`" if setting.default else ""
    meaning = setting.meaning.replace("|", r"\|").replace("<", "&lt;")
    return f"| `{setting.name}` | {shown} | {_readers(setting)} | {meaning} |\n"
