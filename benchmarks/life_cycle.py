"""What a program pays before the first byte: import, mount and unmount.

`timeraw` runs each statement in a new interpreter, which starts no thread and
mounts nothing in asv's own process.
"""

from __future__ import annotations

IMPORT = "import fusesg"

MOUNT = """
with fusesg.mount(Hello(), mountpoint):
    pass
"""

SET_UP_MOUNT = """
import atexit, os, tempfile
import fusesg
from fusesg.examples.hello import Hello
mountpoint = tempfile.mkdtemp(prefix="fusesg-bench-")
atexit.register(os.rmdir, mountpoint)
"""


def timeraw_import() -> str:
    """Import the package; the interpreter's own start is not counted."""
    return IMPORT


def timeraw_mount_and_unmount() -> tuple[str, str]:
    """Mount the hello world and unmount it again."""
    return MOUNT, SET_UP_MOUNT


# Set by hand: asv would otherwise drop the history when a comment changes.
timeraw_import.version = "1"
timeraw_mount_and_unmount.version = "1"
