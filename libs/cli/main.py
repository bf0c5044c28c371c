"""Puts the commands together and every failure into one sentence and an exit code: 0 done, 1 failed, 2 misused."""

from __future__ import annotations

import sys

import typer
from typer.main import get_command

from libs.cli import (
    captures,
    changes,
    connecting,
    deletions,
    demo,
    erasing,
    explaining,
    freshness,
    hooks,
    integrations,
    letters,
    providers,
    quarantine,
    resources,
    runs,
    searching,
    sources,
    stack,
    summarising,
    syncing,
    traces,
)
from libs.cli.screen import complain
from libs.local.client import Told
from libs.local.up import StartFailed

HELP = "Sluice keeps a searchable copy of the tools where work lives. `sluice up`, then `sluice connect github`."

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (
    stack.up, stack.down, stack.status, demo.demo,
    providers.list_providers, connecting.connect, connecting.reconnect,
    integrations.list_integrations, integrations.show, integrations.configure, integrations.pause, integrations.resume,
    integrations.check, integrations.disconnect, freshness.freshness, hooks.subscriptions,
    syncing.sync, syncing.runs, sources.sources, sources.source, sources.changed_files,
    changes.changes, explaining.explain, searching.search, summarising.summary,
    summarising.feedback, traces.trace,
):  # fmt: skip
    app.command(getattr(command, "__name__", "").removeprefix("list_").replace("_", "-"))(command)
app.command("new-provider")(providers.new_provider)
app.add_typer(resources.app, name="resources")
app.add_typer(runs.app, name="run")
app.add_typer(hooks.deliveries, name="deliveries")
app.add_typer(hooks.endpoint, name="webhook-endpoint")
app.add_typer(deletions.app, name="deletions")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(captures.app, name="captures")
app.add_typer(letters.app, name="dead-letters")
app.add_typer(erasing.app, name="workspace")
sluice = get_command(app)


def main() -> None:
    try:
        sluice()
    except Told as error:
        complain(error)
        sys.exit(1)
    except StartFailed as error:
        complain(Told(str(error), "The log names the reason; `make down`, then try again."))
        sys.exit(1)
