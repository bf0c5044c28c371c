"""Makes a `.env` that starts: the example with a fresh secret in every line that wants one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from libs.local.keys import digest, new_api_key, new_key_encryption_key
from libs.local.state import write_private

WANTED = re.compile(r"^(?P<name>[A-Z0-9_]+)=$", re.MULTILINE)


def fill(example: str, api_key: str) -> str:
    """Only open lines without a value are filled; what has one, and every comment, stays."""
    special: Mapping[str, Callable[[], str]] = {
        "SLUICE_KEK": new_key_encryption_key,
        "BOOTSTRAP_API_KEY_SHA256": lambda: digest(api_key),
    }

    def filled(found: re.Match[str]) -> str:
        return f"{found['name']}={special.get(found['name'], new_password)()}"

    return WANTED.sub(filled, example)


def new_password() -> str:
    """Part of a URL, so letters and digits alone."""
    return secrets.token_hex(24)


def make_env(root: Path) -> str:
    """Writes `.env` (mode 0600) and answers the API key, of which it holds the digest alone. Raises FileExistsError."""
    target = root / ".env"
    if target.exists():
        raise FileExistsError(
            f"{target} is there already and its secrets open what is stored: move it away first,"
            " then copy what you want to keep into the new one"
        )
    key = new_api_key()
    write_private(target, fill((root / ".env.example").read_text(), key).encode())
    return key
