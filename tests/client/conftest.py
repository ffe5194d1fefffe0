"""The fixtures under test are those that users get."""

from __future__ import annotations

from fusesg.testing import fuse_client, fuse_log

__all__ = ["fuse_client", "fuse_log"]
