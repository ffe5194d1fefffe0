"""The fixtures that the pages show."""

from fusesg.testing import fuse_client, fuse_log

__all__ = ["fuse_client", "fuse_log"]
