"""One gateway configuration for every installation, rendered from the table of routes; its environment differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from libs.local.state import SERVICES

SAFE_PATTERN = re.compile(r"/[A-Za-z0-9_{}./:~-]*")
PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
# Above the services' own limits, whose refusals are typed: the door only ends what nobody would take.
BODY, HOOK_BODY = "8MB", "34MB"


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the generated table (deploy/gateway/routes.json): which service answers which OpenAPI path template,
    and the path to ask there if it is another one."""

    pattern: str
    service: str
    rewrite: str | None = None


def upstream_variable(service: str) -> str:
    return f"{service.upper()}_UPSTREAM"


def load_routes(table: Path) -> list[Route]:
    """An absent table is an empty one: a checkout without services still has a front door."""
    return msgspec.json.decode(table.read_bytes(), type=list[Route]) if table.exists() else []


def document_routes(services: Iterable[str] = SERVICES) -> list[Route]:
    """Each service's OpenAPI document under one name at the front door."""
    return [Route(f"/openapi/{name}", name, "/schema/openapi.json") for name in services]


def caddyfile(routes: Sequence[Route]) -> str:
    """Configuration for Caddy; `{$NAME:default}` is read from its environment at start."""
    blocks = "\n".join(_route(number, route) for number, route in enumerate(in_order(routes)))
    return TEXT.replace("\tROUTES", blocks)


def in_order(routes: Sequence[Route]) -> list[Route]:
    """Literal segments before parameters: /a/new is not read as /a/{id}. Two owners of one path are a mistake."""
    owners: dict[str, Route] = {}
    for route in routes:
        expression = path_expression(route.pattern)
        if owners.setdefault(expression, route) != route:
            raise ValueError(f"{route.pattern} has two owners: {owners[expression].service} and {route.service}")
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
    upstream = f"{{${upstream_variable(route.service)}:{route.service}:8000}}"
    body = HOOK_BODY if route.pattern.startswith("/v1/hooks/") else BODY
    return (
        f"\t@r{number} path_regexp {path_expression(route.pattern)}\n"
        f"\thandle @r{number} {{\n{rewrite}\t\timport service {upstream} {body}\n\t}}"
    )


TEXT = """# Made from deploy/gateway/routes.json by `python -m libs.local.deploy write`; `make up` runs the same text.
# GATEWAY_SITE is an https address in production: certificates come and renew by themselves, http is sent there.
{
	admin off
	persist_config off
	skip_install_trust
	http_port {$GATEWAY_LISTEN_HTTP:8080}
	https_port {$GATEWAY_LISTEN_HTTPS:8443}
	grace_period {$GATEWAY_GRACE:10s}
	servers {
		protocols h1 h2
		max_header_size 32KB
		timeouts {
			# Off, for its reader hides from the server what of a body was left unread, and the server took that for a
			# next request of the connection. `read_body` bounds a body that drips.
			read_body_idle -1s
			read_header 10s
			read_body 60s
			idle 5m
		}
	}
	# Addresses may hold a code and a state, headers a key, an answer's Location all of it: none is written down.
	log {
		output stderr
		level {$GATEWAY_LOG_LEVEL:INFO}
		format filter {
			request>uri regexp \\?.* ""
			request>headers delete
			headers delete
			resp_headers delete
		}
	}
}

(problem) {
	header Content-Type application/problem+json
	header X-Request-Id {http.request.uuid}
	respond `{"type":"about:blank","title":"{args[1]}","status":{args[0]}}` {args[0]}
}

(service) {
	request_body {
		max_size {args[1]}
	}
	reverse_proxy {args[0]} {
		flush_interval -1
		# A service that is being restarted is waited for: only refused connections are tried again.
		lb_try_duration 3s
		lb_try_interval 100ms
	}
}

{$GATEWAY_SITE:http://:8080} {
	bind {$GATEWAY_BIND:0.0.0.0}
	@tls protocol https
	header @tls Strict-Transport-Security "max-age=31536000; includeSubDomains"
	header {
		?X-Content-Type-Options nosniff
		?X-Frame-Options DENY
		?Referrer-Policy no-referrer
		-Server
		-Via
	}
	@internal path /internal /internal/*
	handle @internal {
		import problem 404 "Not Found"
	}
	handle /healthz {
		respond "ok"
	}
	ROUTES
	handle {
		root * "{$GATEWAY_PAGES:/srv}"
		@page file {path} {path}/index.html
		handle @page {
			file_server
		}
		handle {
			import problem 404 "Not Found"
		}
	}
	handle_errors {
		import problem {err.status_code} "{err.status_text}"
	}
}
"""
