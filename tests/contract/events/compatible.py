"""May a reader of the golden schema read what is written now? Only optional fields may have been added."""

from typing import Any

Json = dict[str, Any]
MEANINGLESS = ("title", "description")


def breaks(golden: Json, present: Json, place: str = "$") -> list[str]:
    """What an old reader or an old sample would stumble over; empty when only optional fields are new."""
    found = [] if _resolved(golden, place) else [f"{place}: a reference without its definition"]
    found += _object_breaks(golden, present, place)
    for name, old in golden.get("$defs", {}).items():
        new = present.get("$defs", {}).get(name)
        found += [f"{place}: {name} is gone"] if new is None else _object_breaks(old, new, name)
    return found


def _resolved(golden: Json, place: str) -> bool:
    return "$ref" not in golden or golden["$ref"].rpartition("/")[2] in golden.get("$defs", {})


def _object_breaks(old: Json, new: Json, place: str) -> list[str]:
    found = []
    if set(new.get("required", ())) != set(old.get("required", ())):
        found.append(f"{place}: other fields are required")
    for name, field in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            found.append(f"{place}.{name} is gone")
        elif _plain(field) != _plain(new["properties"][name]):
            found.append(f"{place}.{name} is something else")
    if _plain(old) != _plain(new):
        found.append(f"{place} is something else")
    return found


def _plain(schema: Json) -> Json:
    skipped = (*MEANINGLESS, "properties", "required", "$defs")
    return {key: value for key, value in schema.items() if key not in skipped}
