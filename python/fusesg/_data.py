"""What `Filesystem.read` may return."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from fusesg._core import Extent, SegmentList, Zeros

Segment: TypeAlias = "Buffer | Extent | Zeros"
"""One piece of data: bytes in memory, a range of a file, or zeros."""

Data: TypeAlias = "Segment | SegmentList | Sequence[Segment | SegmentList]"
"""What answers a read: one piece, or several in order."""
