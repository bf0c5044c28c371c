"""What a provider is known to do, rule by rule, each with the test that holds it or the reason why none does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from libs.common.errors import ConfigurationError

NAME = "quality.toml"
SHORTEST_REASON = 15  # characters: "not needed" is no reason


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`test` is `path/of/test_file.py::test_name` from the root of the checkout; `exempt` says why there is none."""

    rule: str
    test: str = ""
    exempt: str = ""

    def fault(self) -> str | None:
        if not self.rule.strip():
            return "a rule without words"
        if bool(self.test) == bool(self.exempt):
            return f"{self.rule!r} needs either a test or a reason"
        if self.exempt and len(self.exempt.strip()) < SHORTEST_REASON:
            return f"{self.rule!r} is exempt without a reason"
        return None


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules about one subject, as the provider's documents part it."""

    about: str
    rules: tuple[Rule, ...]


class Quality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sections: tuple[Section, ...]

    def rules(self) -> Iterator[Rule]:
        for section in self.sections:
            yield from section.rules


def read_quality(folder: Path) -> Quality:
    """Raises ConfigurationError that names the file and the field at fault, or that there is none."""
    path = folder / NAME
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Quality)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} is missing") from None
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from error
