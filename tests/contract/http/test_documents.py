"""The committed OpenAPI documents and the front door's table are what the services say of themselves."""

import re
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from libs.local.gateway import Route, caddyfile, path_expression
from libs.local.routes import CHECKOUT, DOCUMENTS, TABLE, documents, generated, public_paths, stale, table_of
from libs.local.state import SERVICES

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return documents()


@pytest.fixture(scope="module")
def printed(texts: dict[str, str]) -> dict[str, Any]:
    return {name: msgspec.json.decode(text) for name, text in texts.items()}


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_committed_documents_and_table_are_fresh(texts: dict[str, str]) -> None:
    assert stale(generated(texts)) == [], "run python -m libs.local.routes"


@pytest.mark.parametrize("service", SERVICES)
def test_document_is_valid_openapi_3_1(printed: dict[str, Any], service: str) -> None:
    assert printed[service]["openapi"].startswith("3.1")
    validate(printed[service])


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_says_what_it_does_under_a_name_of_its_own(printed: dict[str, Any], service: str) -> None:
    found = operations(printed[service])
    names = [operation.get("operationId") for _, _, operation in found]
    assert len(set(names)) == len(names)
    told = [(path, method) for path, method, one in found if path.startswith("/v1/") and not one.get("description")]
    assert told == []


def test_table_holds_every_public_path_once_and_nothing_private(printed: dict[str, Any]) -> None:
    rows = msgspec.json.decode((CHECKOUT / TABLE).read_bytes(), type=list[Route])
    wanted = {(path, name) for name, document in printed.items() for path in public_paths(document)}
    assert {(row.pattern, row.service) for row in rows} == wanted
    assert len({path_expression(row.pattern) for row in rows}) == len(rows)
    assert not [row for row in rows if re.match(r"/(internal|metrics|healthz|readyz|schema)", row.pattern)]


def test_front_door_can_serve_the_whole_table(printed: dict[str, Any]) -> None:
    rows = table_of(printed)
    assert caddyfile(rows).count("import service ") == len(rows)


def test_hand_edited_document_is_noticed(tmp_path: Any) -> None:
    files = {DOCUMENTS / "auth.json": "what the service says\n"}
    assert stale(files, tmp_path) == ["docs/api/auth.json"]
    (tmp_path / DOCUMENTS).mkdir(parents=True)
    (tmp_path / DOCUMENTS / "auth.json").write_text("edited by hand\n")
    assert stale(files, tmp_path) == ["docs/api/auth.json"]
