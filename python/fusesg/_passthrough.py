# ruff: noqa: ANN401 - see what Passthrough says to type checkers
"""The base class of file systems that show a directory, all of it or with changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from fusesg import _core
from fusesg._filesystem import Filesystem

if TYPE_CHECKING:
    from fusesg._core import Context


class Passthrough(_core.Passthrough, Filesystem):
    """A directory of this machine as a file system, served without Python.

    ```python
    class Logged(fusesg.Passthrough):
        def open(self, inode, flags, ctx):
            print("open", inode)
            return super().open(inode, flags, ctx)

    with fusesg.mount(Logged("/srv/data"), "/mnt"):
        ...
    ```

    What a subclass does not override runs natively, without the interpreter lock; what
    it overrides reaches the original through `super()`. A handle that `super().open()`
    returned is served natively, too, whatever else the class overrides.

    Args:
        source: The directory that is shown.
    """

    __fusesg_base__: ClassVar[bool] = True

    if TYPE_CHECKING:
        # An overriding method may return all that is said in Filesystem, which is more
        # than what the native methods return.

        def open(self, inode: int, flags: int, ctx: Context) -> Any: ...

        def create(
            self, parent: int, name: str, mode: int, flags: int, ctx: Context
        ) -> tuple[Any, Any]: ...

        def opendir(self, inode: int, flags: int, ctx: Context) -> Any: ...

        def read(
            self, inode: int, handle: Any, offset: int, size: int, ctx: Context
        ) -> Any: ...

        def readdir(
            self, inode: int, handle: Any, offset: int, ctx: Context
        ) -> Any: ...

        def listxattr(self, inode: int, ctx: Context) -> Any: ...
