"""The base class of file systems that show a directory, all of it or with changes."""

from __future__ import annotations

import os
from typing import ClassVar

from fusesg import _core, _keywords
from fusesg._filesystem import Filesystem


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
    returned is served natively, too, whatever else the class overrides; each is for one
    open. The handle of another Passthrough, which the class only uses, is an object
    like any other: the methods that work on open files must be overridden with it.

    An optimisation of the native file system that would go past an overridden method
    is switched off with it: kernel passthrough and `copy_file_range` by `read` or
    `write`, attributes in listings (`readdirplus`) by `lookup`, `getattr` or `readdir`,
    the clearing of set-id bits within a write by `write` and its like: the kernel then
    asks for it by `setattr`. What one name may hide must be hidden by each method that
    takes names: `lookup` and `readdir`, but also `create`, `rename` and so on.

    It may be mounted inside `source`, as `/` is at /mnt. The mount does not show
    itself: a lookup that leads to it is answered ELOOP, and the log warns of it.

    Args:
        source: The directory that is shown.

    Raises:
        OSError: `source` is no directory, or cannot be opened.

    Attributes:
        source: The same, absolute. A plain attribute: a class of yours may give the
            name another meaning.
    """

    __fusesg_base__: ClassVar[bool] = True

    @_keywords.checked
    def __init__(
        self, source: str | bytes | os.PathLike[str] | os.PathLike[bytes]
    ) -> None:
        super().__init__(source)
        self.source: str = os.path.abspath(os.fsdecode(source))
