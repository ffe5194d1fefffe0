"""Profiles: settings that go together.

What is in them is what brings something where settings were measured one by one
(docs/performance.md). What a class has to be written for is in none: whether a FLUSH
may be left out (`no_flush`) or writes may overtake each other
(`parallel_direct_writes`) is for its author to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Profile:
    """Settings for one purpose, by name."""

    purpose: str
    values: Mapping[str, Any]


def _profile(purpose: str, **values: Any) -> Profile:  # noqa: ANN401
    return Profile(purpose, MappingProxyType(values))


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "latency": _profile(
            "many small requests, one after another: as few trips as possible, for "
            "content that seldom changes except through the mount",
            entry_timeout=60.0,
            attribute_timeout=60.0,
            negative_timeout=1.0,
            keep_cache=True,
            cache_directories=True,
            cache_symlinks=True,
            kernel_passthrough=True,
        ),
        "throughput": _profile(
            "large files from beginning to end, and many requests at a time",
            keep_cache=True,
            kernel_passthrough=True,
            max_readahead=512 << 10,
        ),
        "strict": _profile(
            "content that changes behind the mount's back: nothing is remembered, and "
            "every call of a program reaches the file system",
            entry_timeout=0.0,
            attribute_timeout=0.0,
            negative_timeout=0.0,
            direct_io=True,
            keep_cache=False,
            no_flush=False,
            cache_directories=False,
            cache_symlinks=False,
            writeback_cache=False,
            kernel_passthrough=False,
        ),
    }
)
"""By name."""
