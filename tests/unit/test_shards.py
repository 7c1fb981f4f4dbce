"""The shards of `sql/counted_messages.sql` fall evenly on the instances of the operator that decides."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from flink_jobs.sql_files import SQL_DIR
from pointsman.capacity import BUSIEST
from pointsman.job_options import MOST_PARALLEL

KEY_GROUPS = 128
_32_BITS = 0xFFFFFFFF


def shards() -> str:
    """The name of each shard, in the order of the digits."""
    text = (SQL_DIR / "counted_messages.sql").read_text()
    found = re.search(r"FROM 1 FOR 1\), '0123456789abcdef', '(\w{16})'\s*\) AS shard", text)
    assert found
    return found[1]


def hash_of_row(name: str) -> int:
    """What Java's `Row.of(name).hashCode()` is, for a name of one character."""
    return 31 + 31 + ord(name)


def key_group(name: str, key_groups: int = KEY_GROUPS) -> int:
    """As Flink's `KeyGroupRangeAssignment.assignToKeyGroup` has it: the MurmurHash of the hash code."""
    code = _rotated(hash_of_row(name) * 0xCC9E2D51, 15) * 0x1B873593
    code = _rotated(code, 13) * 5 + 0xE6546B64
    code = (code ^ 4) & _32_BITS
    code = (code ^ code >> 16) * 0x85EBCA6B & _32_BITS
    code = (code ^ code >> 13) * 0xC2B2AE35 & _32_BITS
    code ^= code >> 16
    return (code if code < 1 << 31 else (1 << 32) - code) % key_groups


def _rotated(code: int, by: int) -> int:
    code &= _32_BITS
    return (code << by | code >> 32 - by) & _32_BITS


def per_instance(names: str, parallelism: int) -> list[int]:
    """How many shards each instance has."""
    held = Counter(key_group(name) * parallelism // KEY_GROUPS for name in names)
    return [held[instance] for instance in range(parallelism)]


def test_the_hash_is_flink_s() -> None:
    """Figures of Flink 2.3's own `KeyGroupRangeAssignment`."""
    digits = {name: key_group(name) for name in "0123456789abcdef"}
    assert [*digits.values()] == [32, 30, 71, 26, 118, 66, 84, 40, 22, 1, 64, 65, 29, 66, 112, 103]
    assert per_instance("0123456789abcdef", 4) == [5, 2, 6, 3], "the digits themselves"


def test_there_are_as_many_shards_as_there_may_be_instances() -> None:
    assert len(set(shards())) == MOST_PARALLEL


@pytest.mark.parametrize("parallelism", [1, 2, 4, 8, 16])
def test_every_instance_has_as_many_shards_as_the_others(parallelism: int) -> None:
    assert per_instance(shards(), parallelism) == [16 // parallelism] * parallelism


def test_capacity_is_planned_with_what_the_busiest_instance_has() -> None:
    busiest, least = {}, MOST_PARALLEL + 1
    for parallelism in range(1, MOST_PARALLEL + 1):
        most = max(per_instance(shards(), parallelism))
        if most < least:
            busiest[parallelism] = least = most
    assert busiest == BUSIEST


def test_the_job_has_as_many_key_groups() -> None:
    """The names are worth nothing otherwise."""
    job = (SQL_DIR.parent / "flink_jobs" / "route_messages.py").read_text()
    assert f'"pipeline.max-parallelism": "{KEY_GROUPS}"' in job
