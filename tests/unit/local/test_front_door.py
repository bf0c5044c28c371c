"""From a table of OpenAPI path templates to a gateway configuration."""

import re
from pathlib import Path

import pytest

from libs.local.front_door import FrontDoor
from libs.local.gateway import Route, caddyfile, in_order, load_routes, path_expression
from libs.local.routes import CHECKOUT
from libs.local.state import SERVICES, State


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/v1/workspaces/{ws}/search", "/v1/workspaces/a:b.c/search", True),
        ("/v1/workspaces/{ws}/search", "/v1/workspaces/a/b/search", False),
        ("/v1/workspaces/{ws}/search", "/v1/workspaces/a/search/more", False),
        ("/v1/workspaces/{ws}/search", "/x/v1/workspaces/a/search", False),
        ("/openapi/auth.json", "/openapi/authXjson", False),
        ("/v1/sources/{source_id}", "/v1/sources/", False),
    ],
)
def test_template_matches_whole_paths_one_segment_per_parameter(pattern: str, path: str, matches: bool) -> None:
    assert (re.search(path_expression(pattern), path) is not None) is matches


@pytest.mark.parametrize("pattern", ["/internal", "/internal/v1/x", "v1/x", "/v1/{a", "/v1/a b", "/v1/`x", "/v1/{}"])
def test_pattern_that_must_not_be_served_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"front door can serve|malformed"):
        path_expression(pattern)


def test_literal_path_comes_before_a_parameter() -> None:
    ordered = in_order([Route("/v1/sources/{id}", "a:1"), Route("/v1/sources/recent", "b:2")])
    assert [route.service for route in ordered] == ["b:2", "a:1"]


def test_one_path_of_two_services_is_refused() -> None:
    with pytest.raises(ValueError, match="two owners"):
        in_order([Route("/v1/sources/{id}", "a:1"), Route("/v1/sources/{source}", "b:2")])


def test_same_route_twice_is_one() -> None:
    assert len(in_order([Route("/v1/a", "a:1"), Route("/v1/a", "a:1")])) == 1


def test_gateway_streams_and_has_no_admin_port() -> None:
    text = caddyfile([Route("/v1/a", "sync")])
    assert "admin off" in text
    assert "flush_interval -1" in text
    assert "import service {$SYNC_UPSTREAM:sync:8000} 8MB" in text


def test_hooks_may_be_larger_than_other_bodies() -> None:
    assert "import service {$WEBHOOKS_UPSTREAM:webhooks:8000} 34MB" in caddyfile([Route("/v1/hooks/{p}", "webhooks")])


def test_absent_table_has_no_routes(tmp_path: Path) -> None:
    assert load_routes(tmp_path / "routes.json") == []


def test_table_names_services(tmp_path: Path) -> None:
    table = tmp_path / "routes.json"
    table.write_text('[{"pattern":"/v1/a","service":"sync"}]')
    assert load_routes(table) == [Route("/v1/a", "sync")]


def test_embedded_front_door_runs_the_committed_configuration(tmp_path: Path) -> None:
    upstreams = {name: "127.0.0.1:1" for name in SERVICES}
    door = FrontDoor(State.at(tmp_path), 8088, upstreams, CHECKOUT / "deploy" / "gateway" / "routes.json")
    door.write_config()
    written = (tmp_path / ".sluice" / "run" / "Caddyfile").read_text()
    assert written == (CHECKOUT / "deploy" / "gateway" / "Caddyfile").read_text()
    assert door.environment()["GATEWAY_BIND"] == "127.0.0.1"
