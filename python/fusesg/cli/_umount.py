"""`fusesg umount`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fusesg.cli import _mount_table
from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> int:
    """Unmounts what is seen at the mount point."""
    path = options.mountpoint
    entry = _mount_table.find(path)
    if entry is None:
        if not os.path.lexists(path):
            raise CommandError(f"{path} does not exist")
        raise CommandError(f"{path} is not a mount point; see `findmnt -t fuse.fusesg`")
    if not entry.is_fusesg and not options.force:
        raise CommandError(
            f"{path} is no mount of fusesg but of type {entry.type}; use umount(8), or "
            "--force if you are sure"
        )
    _mount_table.unmount(entry, lazy=options.lazy)
    return 0
