"""The rules of the house, each opened by what it prevents."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from libs.common.bus import consume  # noqa: F401 - the kernel must import before its rules are checked
from libs.providers.registry import manifests
from tests.house.source import ROOT, Module, modules

SERVICES = ("auth", "webhooks", "sync", "chunker")
PROVIDER_SANDBOX = re.compile(r"^libs\.providers\.\w+\.sandbox")
SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b\s+[\w*(\"]")
SQL_ROOMS = (
    "libs/common/outbox/",
    "libs/common/jobs/",
    "libs/common/database/",
    "libs/common/bus/dead_letters",
    "libs/local/roles.py",  # these two prepare a cluster: roles and schemas, no row of a service
    "libs/local/postgres.py",
)
SCRUBBED = re.compile(
    r"/work/|pypi\.org|pythonhosted|registry\.npmjs|repo1?\.maven|crates\.io|proxy\.golang", re.IGNORECASE
)


def broken(rule: Callable[[Module], bool]) -> list[str]:
    return [module.path for module in modules() if rule(module)]


def starts(imported: str, *rooms: str) -> bool:
    return any(imported == room or imported.startswith(f"{room}.") for room in rooms)


def test_kernel_imports_only_itself() -> None:
    def outward(module: Module) -> bool:
        mine = module.path.startswith("libs/common/")
        return mine and any(
            starts(name, "libs", "services") and not starts(name, "libs.common") for name in imports_of(module)
        )

    assert broken(outward) == []


def test_providers_import_only_kernel_and_providers() -> None:
    def outward(module: Module) -> bool:
        if not module.path.startswith("libs/providers/") or PROVIDER_SANDBOX.match(module.name):
            return False
        foreign = (n for n in imports_of(module) if starts(n, "libs", "services"))
        return any(not starts(name, "libs.common", "libs.providers") for name in foreign)

    assert broken(outward) == []


def test_services_never_import_each_other_or_the_tools() -> None:
    def trespass(module: Module) -> bool:
        if not module.path.startswith("services/") or module.path == "services/__init__.py":
            return False
        own = module.path.split("/")[1]
        others = [f"services.{name}" for name in SERVICES if name != own]
        return any(starts(name, *others, "libs.local", "libs.cli", "libs.sandbox") for name in module.imports())

    assert broken(trespass) == []


def test_command_line_and_stack_import_no_service_and_no_provider() -> None:
    def trespass(module: Module) -> bool:
        rooms = ("libs/local/", "libs/cli/")
        return module.path.startswith(rooms) and any(
            starts(name, "services", "libs.providers") for name in module.imports()
        )

    assert broken(trespass) == []


def test_stack_does_not_import_the_command_line() -> None:
    assert broken(lambda m: m.path.startswith("libs/local/") and any(starts(n, "libs.cli") for n in m.imports())) == []


def test_sandboxes_are_imported_by_stand_ins_and_the_stack_alone() -> None:
    def leak(module: Module) -> bool:
        allowed = module.path.startswith(("libs/sandbox/", "libs/local/")) or PROVIDER_SANDBOX.match(module.name)
        used = (n for n in module.imports() if starts(n, "libs.sandbox") or PROVIDER_SANDBOX.match(n))
        return not allowed and any(True for _ in used)

    assert broken(leak) == []


def test_kernel_names_no_vendor() -> None:
    """The most trusted room must not grow a branch for one vendor."""
    words = {part for name in manifests() for part in (name, name.replace("_", ""))}
    vendor = re.compile(
        "|".join(sorted(words | {"gitlab", "jira", "slack", "docusaurus", "vitepress", "gitbook"})), re.IGNORECASE
    )
    found = [
        f"{m.path}: {hit.group(0)}"
        for m in modules()
        if m.path.startswith("libs/common/")
        for hit in vendor.finditer(m.text)
    ]
    assert found == []


def test_nothing_subscribes_past_consume() -> None:
    """FastStream's own defaults lose messages: acknowledged first, or swallowed and passed."""
    assert broken(lambda m: ".subscriber(" in m.text and not m.path.startswith("libs/common/bus/")) == []


def test_outbound_calls_go_through_the_guarded_client() -> None:
    """A bare client has no address guard: one user-given URL would reach inside the network."""
    rooms = ("libs/common/http/", "libs/cli/", "libs/local/", "libs/sandbox/")  # tools that call our own loopback
    assert broken(lambda m: "httpx.AsyncClient(" in m.text and not _loopback_tool(m, rooms)) == []


def test_sql_stays_in_repositories_and_the_kernel() -> None:
    def strays(module: Module) -> bool:
        if module.path.startswith(SQL_ROOMS) or "/migrations/" in module.path or "repository" in module.path:
            return False
        return any(SQL.search(text) for text in strings_of(module))

    assert broken(strays) == []


def test_every_module_says_why_it_exists() -> None:
    assert broken(lambda m: not ast.get_docstring(m.tree)) == []


def test_files_stay_below_four_hundred_lines() -> None:
    assert broken(lambda m: m.text.count("\n") > 400) == []


def test_functions_stay_readable() -> None:
    """Median at most 10 lines, 95 % at most 40; a longer one carries its reason as `# house: why`."""
    lengths = sorted(length for m in modules() if "/migrations/" not in m.path for _, length, _ in functions_of(m))
    assert lengths[len(lengths) // 2] <= 10
    assert lengths[int(len(lengths) * 0.95)] <= 40
    long = [f"{m.path}:{name}" for m in modules() for name, n, why in functions_of(m) if n > 50 and not why]
    assert [entry for entry in long if "/migrations/" not in entry] == []


def test_no_room_is_a_dumping_ground() -> None:
    banned = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "misc", "common_utils"}
    assert broken(lambda m: bool(banned & set(m.name.split(".")))) == []


def test_repository_speaks_of_itself_alone() -> None:
    """No machine path and no package registry's host: the lock works with any index."""
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".lock", ".html"}
    skipped = {".venv", ".sluice", ".git", "node_modules", "fixtures"}
    files = (p for p in ROOT.rglob("*") if p.suffix in suffixes and not skipped & set(p.relative_to(ROOT).parts))
    own = ROOT / "tests" / "house" / "test_house.py"
    assert [
        str(p.relative_to(ROOT))
        for p in files
        if p.is_file() and p != own and SCRUBBED.search(p.read_text(errors="ignore"))
    ] == []


def imports_of(module: Module) -> list[str]:
    return [name for name in module.imports() if name not in {"libs", "services"}]


def strings_of(module: Module) -> list[str]:
    documents = {id(node.body[0].value) for node in ast.walk(module.tree) if _has_docstring(node)}  # type: ignore[attr-defined]
    return [
        node.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
    ]


def functions_of(module: Module) -> list[tuple[str, int, bool]]:
    lines = module.text.splitlines()
    found = (n for n in ast.walk(module.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return [
        (n.name, (n.end_lineno or n.lineno) - n.lineno + 1, "# house:" in "\n".join(lines[n.lineno - 2 : n.lineno + 2]))
        for n in found
    ]


def _has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return False
    first = node.body[0]
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _loopback_tool(module: Module, rooms: tuple[str, ...]) -> bool:
    return module.path.startswith(rooms) or bool(PROVIDER_SANDBOX.match(module.name))
