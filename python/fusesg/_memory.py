"""The base class of file systems that keep their files in memory."""

from __future__ import annotations

from typing import ClassVar

from fusesg import _core, _keywords
from fusesg._filesystem import Filesystem


class Memory(_core.Memory, Filesystem):
    """Files in memory as a file system, served without Python.

    ```python
    with fusesg.mount(fusesg.Memory(size=1 << 30), "/mnt"):
        ...
    ```

    A complete file system, as tmpfs is: sparse files, links, renames, extended
    attributes, holes that are punched. A file takes memory for the pages that were
    written. The files live as long as the object, also between two mounts of it.

    A subclass may override single operations as with `Passthrough`: what it does not
    override runs natively, without the interpreter lock; what it overrides reaches the
    original through `super()`.

    ```python
    class Shouting(fusesg.Memory):
        def read(self, inode, handle, offset, size, ctx):
            return bytes(super().read(inode, handle, offset, size, ctx)).upper()
    ```

    What is full answers ENOSPC, and an operation that fails so has changed nothing.

    Args:
        size: How many bytes files, targets of links and extended attributes may take
            together; None is half of the machine's memory. Pages count as 4096 bytes.
        inodes: How many inodes there may be, each additional name of a file counted as
            one; None is one for each 4096 bytes of half of the machine's memory.
        uid: Owner of the root directory; this process' effective user by default.
        gid: Group of the root directory; this process' effective group by default.
        mode: Permissions of the root directory.

    Raises:
        ValueError: A number is out of range.
        TypeError: An argument is no int.
    """

    __fusesg_base__: ClassVar[bool] = True

    @_keywords.checked
    def __init__(
        self,
        size: int | None = None,
        inodes: int | None = None,
        *,
        uid: int | None = None,
        gid: int | None = None,
        mode: int = 0o755,
    ) -> None:
        super().__init__(size, inodes, uid=uid, gid=gid, mode=mode)
