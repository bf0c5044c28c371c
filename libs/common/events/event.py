"""What every event is: a thin, typed fact about one thing of one workspace."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Fields are the JSON body; the CloudEvents attributes (id, source, type, time) travel as headers.

    Within a version only optional fields are added; readers ignore fields they do not know.
    """

    key_field: ClassVar[str]
    workspace_id: str

    @property
    def key(self) -> str:
        """The aggregate whose events must stay in order: the Kafka key."""
        return str(getattr(self, self.key_field))
