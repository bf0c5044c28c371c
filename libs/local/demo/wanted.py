"""What the caller of the demo asked for, read from the environment: the sandbox, or a repository of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from libs.local.client import Json, Told

SANDBOX_TOKEN = "ghp_sandbox"  # noqa: S105 - opens nothing but the local stand-in
SANDBOX_REPOSITORY = "sluice/sluice"
FEATURES = ["issues", "prs", "repositories", "code"]
PROVIDER = "github"
SUBJECT = "demo"  # the application's own user in whose name the demo connects


@dataclass(frozen=True)
class Wanted:
    """`leave` ends the demo after its last step instead of serving until Ctrl-C."""

    token: str
    repository: str
    sandbox: bool
    leave: bool
    site: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Wanted:
        """Raises Told for half of a wish: a token without a repository, or the other way round."""
        token, repository = environ.get("GITHUB_TOKEN", ""), environ.get("REPO", "")
        leave = environ.get("DEMO_EXIT", "") not in ("", "0")
        site = environ.get("SITE", "")
        if site and not re.match(r"https?://[^/\s]+", site):
            raise Told(f"SITE={site} is not the address of a site.", "SITE=https://docs.example.com/ make demo")
        if not repository:
            return cls(environ.get("SANDBOX_GITHUB_TOKEN") or SANDBOX_TOKEN, SANDBOX_REPOSITORY, True, leave, site)
        if not token:
            raise Told("REPO is set, GITHUB_TOKEN is not.", "GITHUB_TOKEN=… REPO=owner/name make demo")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise Told(f"REPO={repository} is not owner/name.", "GITHUB_TOKEN=… REPO=owner/name make demo")
        return cls(token, repository, False, leave, site)

    @property
    def workspace(self) -> str:
        """A repository of one's own has a workspace of its own: the sandbox's stays what it is."""
        return "default" if self.sandbox else f"demo.{self.repository.replace('/', '.')}".lower()[:128]

    def body(self) -> Json:
        """What is connected, without the grant."""
        return {
            "provider": PROVIDER, "features": FEATURES, "resources": [self.repository],
            "monitorChanges": self.sandbox, "pollingEnabled": True,
        }  # fmt: skip
