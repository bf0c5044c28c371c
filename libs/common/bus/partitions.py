"""Which partition a key is in: the answer of every Kafka client, without asking one of them for each event."""

from __future__ import annotations

from struct import iter_unpack

SEED, FACTOR, WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """murmur2 as Kafka's Java client has it (org.apache.kafka.common.utils.Utils), over words instead of bytes."""
    found = SEED ^ len(key)
    whole = len(key) & ~3
    for (word,) in iter_unpack("<I", key[:whole]):
        mixed = word * FACTOR & WORD
        found = (found * FACTOR & WORD) ^ ((mixed ^ mixed >> 24) * FACTOR & WORD)
    if rest := key[whole:]:
        found = (found ^ int.from_bytes(rest, "little")) * FACTOR & WORD
    found = (found ^ found >> 13) * FACTOR & WORD
    return ((found ^ found >> 15) & 0x7FFFFFFF) % partitions
