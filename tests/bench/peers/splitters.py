"""The splitters of others, in a process of their own environment that waits to be asked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from tests.bench.peers.venvs import HERE, python_of

PACKAGES = ("chonkie", "langchain-text-splitters", "semantic-text-splitter", "semchunk", "tiktoken", "rs-bpe")


class Splitters:
    def __init__(self, asked: IO[str], answers: IO[str]) -> None:
        self._asked, self._answers = asked, answers
        self.names: list[str] = json.loads(answers.readline())

    def seconds(self, name: str) -> float:
        """CPU seconds of one pass over all texts."""
        return float(self._ask("time", name))

    def chunks(self, name: str) -> list[list[str]]:
        found: list[list[str]] = self._ask("chunks", name)
        return found

    def _ask(self, verb: str, name: str) -> Any:
        self._asked.write(f"{verb} {name}\n")
        self._asked.flush()
        return json.loads(self._answers.readline())


@contextmanager
def running_splitters(texts: Sequence[str], language: str = "markdown") -> Iterator[Splitters]:
    with TemporaryDirectory() as folder:
        place = Path(folder) / "texts.json"
        place.write_text(json.dumps(texts))
        program = [str(python_of("splitters")), str(HERE / "splitters_run.py"), str(place), language]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield Splitters(process.stdin, process.stdout)
            finally:
                process.terminate()
