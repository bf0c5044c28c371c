"""Stand-ins are found by their folders, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import libs.providers
from libs.sandbox import app


def test_every_provider_folder_with_a_sandbox_is_found() -> None:
    providers = Path(libs.providers.__path__[0])
    expected = {f.name for f in providers.iterdir() if (f / "sandbox.py").exists() or (f / "sandbox").is_dir()}
    expected = {name for name in expected if (providers / name / "__init__.py").exists()}
    assert "github" in expected
    assert set(app.stand_ins()) == expected


def test_no_source_of_the_kit_names_a_provider() -> None:
    kit = Path(app.__file__).parent
    named = [file.name for file in kit.glob("*.py") if "github" in file.read_text().lower()]
    assert named == []
