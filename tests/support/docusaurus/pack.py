"""Packs of a built site what a crawler reads, byte for byte, the same archive for the same bytes."""

import io
import lzma
import sys
import tarfile
from pathlib import Path

KEPT = {".html", ".xml"}


def main(built: Path, archive: Path) -> None:
    files = sorted(path for path in built.rglob("*") if path.suffix in KEPT and path.is_file())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in files:
            entry = tarfile.TarInfo(path.relative_to(built).as_posix())
            entry.size = path.stat().st_size
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(lzma.compress(packed.getvalue(), preset=9))
    print(f"{len(files)} files, {archive.stat().st_size} bytes in {archive.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
