"""Loading beside workers: a pause before each module, in the thread that loads and in no other."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from libs.common import loading
from libs.common.loading import giving_way


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The thread of each pause."""
    found: list[int] = []
    monkeypatch.setattr(loading, "_pause", lambda: found.append(threading.get_ident()))
    return found


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str) -> str:
        (tmp_path / f"{name}.py").write_text("")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return make


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_only_the_thread_that_loads_pauses_before_a_module(pauses: list[int], module: Callable[[str], str]) -> None:
    names = [module(f"loaded_slowly_{at}") for at in range(3)]
    other = module("loaded_by_a_worker")

    def load() -> None:
        for name in names:
            importlib.import_module(name)
        beside = in_thread(lambda: importlib.import_module(other))
        beside.join()

    loader = in_thread(lambda: giving_way(load))
    loader.join()
    assert pauses == [loader.ident] * 3
    assert {*names, other} <= sys.modules.keys()


def test_nothing_is_left_behind_by_a_load_that_failed(pauses: list[int], module: Callable[[str], str]) -> None:
    before = list(sys.meta_path)
    with pytest.raises(ZeroDivisionError):
        giving_way(lambda: 1 // 0)
    assert sys.meta_path == before
    importlib.import_module(module("loaded_afterwards"))
    assert pauses == []


def test_two_loads_come_one_after_the_other() -> None:
    entered, go_on, told = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        entered.set()
        go_on.wait(10)
        told.append("first")

    one = in_thread(lambda: giving_way(first))
    assert entered.wait(10)
    two = in_thread(lambda: giving_way(lambda: told.append("second")))
    go_on.set()
    one.join(10)
    two.join(10)
    assert told == ["first", "second"]
