"""What methods of a `Filesystem` may return, and what a `SegmentList` is made of."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Iterable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from fusesg._core import Extent, Fetch, Pipe, SegmentList, Socket, Zeros

Segment: TypeAlias = "Buffer | Extent | Zeros"
"""One piece of data: bytes in memory, a range of a file, or zeros."""

Data: TypeAlias = "Segment | SegmentList | Sequence[Segment | SegmentList]"
"""Data that can be read many times: one piece, or several in order."""

Stream: TypeAlias = "Pipe | Socket"
"""Data that is consumed by the read it answers."""

Piece: TypeAlias = "Segment | SegmentList | Stream | Fetch"
"""What an answer is made of."""

Answer: TypeAlias = "Piece | Sequence[Piece | Sequence[Piece]]"
"""What answers a read: one piece, or several in order."""

T = TypeVar("T")

MaybeAwaitable: TypeAlias = T | Awaitable[T]
"""What a method returns that may be `async def`."""

Listing: TypeAlias = MaybeAwaitable[Iterable[T] | AsyncIterable[T]] | AsyncIterable[T]
"""What a method returns that may be an asynchronous generator, too."""
