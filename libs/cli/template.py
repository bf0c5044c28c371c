"""A new provider: the template's folder under another name, every mention of it replaced."""

from __future__ import annotations

import re
from pathlib import Path

from libs.local.client import Told

ROOM = Path("libs/providers")
TEMPLATE = "_template"
ID = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
TEXT = {".py", ".toml", ".md", ".json", ".svg"}


def copy_template(name: str, root: Path) -> list[Path]:
    """The files made, relative to the checkout."""
    if not ID.fullmatch(name):
        raise Told(
            f"{name or 'The empty name'} is no provider id.",
            "Lower case, words joined by _: make new-provider NAME=linear",
        )
    source, target = root / ROOM / TEMPLATE, root / ROOM / name
    if not source.is_dir():
        raise Told(f"{source} is not there.", "Run this in the checkout of Sluice.")
    if target.exists():
        raise Told(f"{ROOM / name} is there already.", "Choose another name, or remove that folder.")
    files = sorted(path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [_copy(path, target / path.relative_to(source), name).relative_to(root) for path in files]


def _copy(source: Path, target: Path, name: str) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    if source.suffix in TEXT:
        content = _renamed(content.decode(), name).encode()
    target.write_bytes(content)
    return target


def _renamed(text: str, name: str) -> str:
    """`_template` in paths and imports, `Template` in names, `TEMPLATE` in settings, `template` in addresses."""
    title = "".join(word.capitalize() for word in name.split("_"))
    text = (
        text.replace("template.invalid", f"{name.replace('_', '-')}.invalid")
        .replace(TEMPLATE, name)
        .replace("TEMPLATE_", f"{name.upper()}_")
    )
    return re.sub(r"\bTemplate(?=[A-Z]|\b)", title, text)
