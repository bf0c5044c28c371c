"""What a change of features asks for: streams to pull from their start, types that nothing needs any more."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from libs.common.events.source import SourceType
from libs.common.events.webhook import Hint
from libs.common.provider.manifest import Feature, Manifest


class FeatureChange(msgspec.Struct, frozen=True):
    """`backfill` streams start over; `drop_streams` and `drop_types` belong to no feature that is still on."""

    backfill: tuple[str, ...]
    drop_streams: tuple[str, ...]
    drop_types: tuple[SourceType, ...]


def wanted_types(manifest: Manifest, features: Iterable[str]) -> frozenset[SourceType]:
    return frozenset(kind for feature in _chosen(manifest, features) for kind in feature.source_types)


def concerns(manifest: Manifest, hint: Hint, features: tuple[str, ...]) -> bool:
    """Whether any chosen feature pulls what the hint is about."""
    return hint.stream in manifest.streams_of(features) and (
        hint.type is None or hint.type in wanted_types(manifest, features)
    )


def stream_type(manifest: Manifest, stream: str, features: Iterable[str]) -> SourceType:
    """The likeliest type of a key that only a hint has named so far."""
    chosen = [feature for feature in _chosen(manifest, features) if stream in feature.streams]
    found = chosen or [feature for feature in manifest.features if stream in feature.streams] or list(manifest.features)
    return found[0].source_types[0]


def compare(manifest: Manifest, before: Iterable[str], after: Iterable[str]) -> FeatureChange:
    old, new = tuple(before), tuple(after)
    switched_on = [feature for feature in _chosen(manifest, new) if feature.id not in old]
    streams_before, streams_after = manifest.streams_of(old), manifest.streams_of(new)
    backfill = dict.fromkeys(stream for feature in switched_on for stream in feature.streams)
    dropped = wanted_types(manifest, old) - wanted_types(manifest, new)
    return FeatureChange(
        tuple(backfill),
        tuple(stream for stream in streams_before if stream not in streams_after),
        tuple(sorted(dropped)),
    )


def _chosen(manifest: Manifest, features: Iterable[str]) -> list[Feature]:
    wanted = set(features)
    return [feature for feature in manifest.features if feature.id in wanted]
