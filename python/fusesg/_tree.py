"""The base class of read-only file systems whose files are segment lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from fusesg import _core, _keywords
from fusesg._filesystem import Filesystem

if TYPE_CHECKING:
    from typing import SupportsIndex


class Tree(_core.Tree, Filesystem):
    """A read-only directory tree whose files are segment lists, served without Python.

    An index becomes files: the members of an archive, the records of a dataset, the
    layers of an image.

    ```python
    archive = fusesg.Backing("data.bin")
    tree = fusesg.Tree()
    tree.add_file("a/first", archive.extent(0, 1000), mtime_ns=time.time_ns())
    tree.extend((f"a/{n}", archive.extent(1000 * n, 1000)) for n in range(1, 100))
    tree.add_symlink("newest", "a/99")
    with fusesg.mount(tree, "/mnt"):
        ...
    ```

    Paths are relative to the root. Directories on the way are made where they are
    missing, like the root in mode, owner and time; `add_directory` may say later what
    they are really like. What was added first is listed first.

    Nothing can be added once the tree was mounted or one of its operations was called:
    the kernel is told to keep what it has learnt, for ever. So the bytes must stay the
    same, too: files that extents point into must not change as long as a mount shows
    them. A file takes about 110 bytes of memory and its name.

    A subclass may override single operations as with `Passthrough`. As the kernel keeps
    what `lookup` told it, one that overrides `getattr` overrides `lookup`, too.

    Args:
        mode: Permissions of the root directory.
        uid: Owner of the root and of all that is added without one; this process'
            effective user by default.
        gid: Group, likewise.
        mtime_ns: Time of the root and of all that is added without one; now by default.

    Raises:
        ValueError: A number is out of range.
        TypeError: An argument is no int.
    """

    __fusesg_base__: ClassVar[bool] = True

    @_keywords.checked
    def __init__(
        self,
        *,
        mode: SupportsIndex = 0o755,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        mtime_ns: SupportsIndex | None = None,
    ) -> None:
        super().__init__(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns)
