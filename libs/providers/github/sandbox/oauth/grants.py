"""Applications, codes and tokens: what one person has let one application do."""

from __future__ import annotations

import os
import secrets
import string
import time
from dataclasses import dataclass

from libs.providers.github.sandbox.records import App, Token
from libs.providers.github.sandbox.world import World

CLIENT_ID = "sandbox-github-client"
LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Code:
    """Bound to the application, its redirect_uri and the PKCE challenge; in memory only, as short as it lives."""

    client_id: str
    redirect_uri: str
    challenge: str | None
    login: str
    scopes: list[str]
    expires_at: float


class Grants:
    def __init__(self, world: World) -> None:
        self.world = world
        self._codes: dict[str, Code] = {}
        self._register()

    def _register(self) -> None:
        """The one application that is always there; its secret is the environment's, or made at the first start."""
        given, known = os.environ.get("SANDBOX_GITHUB_CLIENT_SECRET"), self.world.apps.get(CLIENT_ID)
        if known is None:
            known = App(id=self.world.next_id(), client_id=CLIENT_ID, client_secret=given or secrets.token_hex(20))
            self.world.keep(known)
        if given and given != known.client_secret:
            known.client_secret = given
            self.world.keep(known)

    def app(self, client_id: str) -> App | None:
        return self.world.apps.get(client_id)

    def proven(self, client_id: str, secret: str) -> App | None:
        app = self.app(client_id)
        return app if app and secrets.compare_digest(app.client_secret.encode(), secret.encode()) else None

    # codes

    def give_code(self, code: Code) -> str:
        now = time.time()
        self._codes = {text: kept for text, kept in self._codes.items() if kept.expires_at > now}
        text = secrets.token_hex(10)
        self._codes[text] = code
        return text

    def look(self, text: str) -> Code | None:
        found = self._codes.get(text)
        return found if found and found.expires_at > time.time() else None

    def burn(self, text: str) -> None:
        self._codes.pop(text, None)

    def forget_codes(self) -> int:
        count = len(self._codes)
        self._codes.clear()
        return count

    # tokens

    def issue(self, code: Code) -> Token:
        """One more than the limit for the same person, application and scopes, and the oldest of them dies."""
        token = Token(
            id=self.world.next_id(), token="gho_" + "".join(secrets.choice(LETTERS) for _ in range(36)),
            login=code.login, scopes=code.scopes, client_id=code.client_id, created_at=int(time.time()),
        )  # fmt: skip
        same = [it for it in self.of(code.client_id, code.login) if set(it.scopes) == set(code.scopes)]
        surplus = sorted(same, key=lambda it: it.id)[: max(0, len(same) + 1 - self.world.switches.tokens_per_grant)]
        self.revoke(*surplus)
        self.world.keep(token)
        return token

    def of(self, client_id: str, login: str) -> list[Token]:
        mine = [it for it in self.world.tokens.values() if it.client_id == client_id and it.login == login]
        return [it for it in mine if it.state == "active"]

    def ever_granted(self, client_id: str, login: str) -> list[str]:
        mine = [it for it in self.world.tokens.values() if it.client_id == client_id and it.login == login]
        return [scope for token in mine for scope in token.scopes]

    def revoke(self, *tokens: Token) -> None:
        for token in tokens:
            token.state = "revoked"
        self.world.keep(*tokens)
