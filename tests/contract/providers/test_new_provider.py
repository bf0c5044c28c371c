"""`make new-provider`: the copy of the template is a provider that the suites take up without another edit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from libs.cli.template import copy_template
from libs.local.client import Told

CHECKOUT = Path(__file__).resolve().parents[3]
KEPT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(CHECKOUT / "libs", tmp_path / "libs", ignore=KEPT_OUT)
    shutil.copytree(CHECKOUT / "tests/contract/providers", tmp_path / "tests/contract/providers", ignore=KEPT_OUT)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def test_copied_template_passes_its_own_tests_and_the_conformance_suite(checkout: Path) -> None:
    made = copy_template("google_notes", checkout)
    assert Path("libs/providers/google_notes/manifest.toml") in made
    texts = [(checkout / path).read_text() for path in made]
    assert not [text for text in texts if "_template" in text or "Template" in text or "TEMPLATE" in text]
    assert 'name = "GoogleNotes"' in (checkout / "libs/providers/google_notes/manifest.toml").read_text()
    suites = ["libs/providers/google_notes", "tests/contract/providers/test_conformance.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suites]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    listed = [*command, "--collect-only"]
    collected = subprocess.run(listed, cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    assert "[google_notes]" in collected.stdout


@pytest.mark.parametrize("name", ["", "Linear", "a-b", "_x", "1a", "a__b", "../x"])
def test_name_that_is_no_provider_id_is_refused(checkout: Path, name: str) -> None:
    with pytest.raises(Told, match="no provider id"):
        copy_template(name, checkout)


def test_folder_that_is_there_is_never_written_over(checkout: Path) -> None:
    with pytest.raises(Told, match="there already"):
        copy_template("github", checkout)
