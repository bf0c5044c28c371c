"""Connecting a provider, or anew: by a token, by the address of a site, or by a consent in the browser."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Which, Workspace, find_integration, find_provider, gateway
from libs.cli.consent import REDIRECT, give_consent
from libs.cli.screen import emit, out
from libs.local.client import Json, Told, endpoints_of
from libs.local.state import find_root

FromStdin = Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")]
OAuth = Annotated[bool, typer.Option("--oauth", help="Print the address of a consent page, and wait for the consent.")]
RedirectUrl = Annotated[
    str, typer.Option("--redirect-url", help="Where the browser comes back to: a page of ours on an allowed origin.")
]
Features = Annotated[list[str] | None, typer.Option("--feature", "-f", help="Repeat; the provider's own by default.")]
Resources = Annotated[list[str] | None, typer.Option("--resource", "-r", help="owner/name and the like; repeat.")]
Url = Annotated[str, typer.Option("--url", help="The address of a site, for providers that connect by one.")]
Monitor = Annotated[bool, typer.Option("--monitor", help="Register hooks, so that changes arrive at once.")]
Poll = Annotated[int, typer.Option("--poll", min=0, help="Look every so many minutes; 0 = only when asked.")]
Since = Annotated[str, typer.Option("--since", help="Read back to this date, as 2026-01-31; else everything.")]
SANDBOX_TOKEN = "ghp_sandbox"  # noqa: S105 - opens nothing but the local stand-in


def connect(
    provider: Annotated[str, typer.Argument(help="github, … (`sluice providers` lists them)")],
    from_stdin: FromStdin = False,
    oauth: OAuth = False,
    redirect_url: RedirectUrl = REDIRECT,
    url: Url = "",
    workspace: Workspace = DEFAULT,
    resources: Resources = None,
    features: Features = None,
    since: Since = "",
    monitor: Monitor = False,
    poll: Poll = 0,
    as_json: AsJson = False,
) -> None:
    """Connect a provider by token, by a consent (--oauth) or by the address of a site; the first sync starts at once.

    The token comes from <PROVIDER>_TOKEN, from standard input or from a prompt, never from the command line,
    where other accounts of the machine could read it.
    """
    place = f"/v1/workspaces/{workspace}"
    with gateway() as door:
        known = find_provider(door, provider)
        token = "" if url or oauth else token_of(known, from_stdin)
        if not (token or url or oauth):
            hint = f"Name it: `sluice connect {known['id']} --url https://docs.example.com/`."
            raise Told(f"{known['name']} is connected by the address of a site.", hint)
        body = connect_body(known["id"], token, url, resources, features, monitor, poll)
        if since:
            body["config"] = {"since": since}
        if oauth:
            made = give_consent(door, f"{place}/connect", body, redirect_url)
        else:
            made = door.post(f"{place}/integrations", body)
    emit(made, as_json, lambda: _connected(made))


def reconnect(
    which: Which,
    from_stdin: FromStdin = False,
    oauth: OAuth = False,
    redirect_url: RedirectUrl = REDIRECT,
    workspace: Workspace = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Give an integration a new token, or a new consent, of the same account; everything synced stays."""
    with gateway() as door:
        found = find_integration(door, workspace, which)
        path = f"/v1/integrations/{found['id']}/reconnect"
        if oauth:
            made = give_consent(door, path, {}, redirect_url)
        else:
            token = token_of(find_provider(door, found["type"]), from_stdin)
            made = door.post(path, {"token": token} if token else {})
    emit(made, as_json, lambda: out.print(f"{escape(made['name'])} is {made['status']} again; what was synced stays."))


def connect_body(
    provider: str,
    token: str,
    url: str,
    resources: list[str] | None,
    features: list[str] | None,
    monitor: bool,
    poll: int,
) -> Json:
    """What is not asked is left out: the service has the defaults."""
    body: Json = {"provider": provider, "monitorChanges": monitor, "pollingEnabled": poll > 0}
    optional: dict[str, Any] = {"token": token, "url": url, "resources": resources, "features": features}
    optional["pollingInterval"] = poll or None
    return body | {name: value for name, value in optional.items() if value}


def token_of(provider: Json, from_stdin: bool) -> str:
    """Empty for one that is connected by its address: nobody has a token of it."""
    kinds = {way["kind"] for way in provider["connect"]}
    return "" if kinds == {"url"} else read_token(provider["id"], from_stdin)


def read_token(provider: str, from_stdin: bool) -> str:
    variable = f"{provider.upper().replace('-', '_')}_TOKEN"
    if from_stdin:
        return sys.stdin.readline().strip()
    if token := os.environ.get(variable):
        return token
    if sandbox_runs():
        return os.environ.get("SANDBOX_GITHUB_TOKEN") or SANDBOX_TOKEN
    if not sys.stdin.isatty():
        hint = f"Set {variable}, pipe it (`… | sluice connect {provider} --token-stdin`), or use --oauth."
        raise Told(f"No token for {provider}.", hint)
    return str(typer.prompt(f"Token for {provider}", hide_input=True))


def sandbox_runs() -> bool:
    return endpoints_of(find_root()).sandbox is not None


def _connected(made: Json) -> None:
    out.print(f"Connected [bold]{escape(made['name'])}[/bold] as {escape(made['account']['name'])} ({made['id']}).")
    out.print('The first sync runs: `sluice sync --wait` shows it, `sluice search "…"` asks what is there already.')
