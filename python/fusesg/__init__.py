r"""Write a file system in Python; Rust moves the bytes.

```python
import stat

import fusesg

TEXT = b"Hello from Python\n"
ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)
FILE = fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o444, size=len(TEXT))


class Hello(fusesg.Filesystem):
    def lookup(self, parent, name, ctx):
        return fusesg.Entry(FILE) if name == "hello" else None

    def getattr(self, inode, handle, ctx):
        return ROOT if inode == 1 else FILE

    def readdir(self, inode, handle, offset, ctx):
        return [fusesg.DirectoryEntry("hello", 2, stat.S_IFREG)]

    def read(self, inode, handle, offset, size, ctx):
        return TEXT[offset : offset + size]


fusesg.serve(Hello(), "/mnt/hello")
```

- `Filesystem` says which methods there are, and `PathFilesystem` those that have paths
  in place of inode numbers; `Passthrough` shows a directory, `Memory` keeps files in
  memory and `Tree` shows what an index says: their methods can be overridden one by
  one. `fusesg.archive` shows archives.
- `Client` uses a file system without mounting it, for tests and where there can be no
  mount; `fusesg.testing` has fixtures for pytest.
- `mount` serves in the background, `serve` in the foreground, `serve_async` in an event
  loop; `Config` is for all of them.
- `Backing`, `Extent`, `Zeros`, `SegmentList`, `Pipe` and `Socket` say where bytes are;
  `read` may return them in place of the bytes.
- `BackingHandle`, `SegmentHandle` and `BytesHandle`: what `open` may return, so that
  reads and writes of the file never come to Python.
"""

from fusesg import _requirements  # noqa: F401 - says what is wanting, if anything is

# isort: split

from fusesg import _lifecycle
from fusesg._client import Client
from fusesg._client_file import ClientFile
from fusesg._config import Config
from fusesg._constants import RENAME_EXCHANGE, RENAME_NOREPLACE, ROOT_INODE
from fusesg._core import (
    NOW,
    WRITE_CACHE,
    WRITE_KILL_SUIDGID,
    WRITE_LOCKOWNER,
    Attributes,
    Backing,
    BackingHandle,
    BytesHandle,
    Context,
    DirectoryEntry,
    Entry,
    Extent,
    Fetch,
    FilesystemStatistics,
    Lock,
    NativeHandle,
    Opened,
    Pipe,
    PollWaiter,
    SegmentHandle,
    SegmentList,
    SetAttributes,
    Socket,
    Zeros,
    __version__,
)
from fusesg._filesystem import Filesystem
from fusesg._locks import LockTable
from fusesg._memory import Memory
from fusesg._mount import Mount, mount, serve, serve_async
from fusesg._passthrough import Passthrough
from fusesg._path_filesystem import PathFilesystem
from fusesg._tree import Tree

__all__ = [
    "NOW",
    "RENAME_EXCHANGE",
    "RENAME_NOREPLACE",
    "ROOT_INODE",
    "WRITE_CACHE",
    "WRITE_KILL_SUIDGID",
    "WRITE_LOCKOWNER",
    "Attributes",
    "Backing",
    "BackingHandle",
    "BytesHandle",
    "Client",
    "ClientFile",
    "Config",
    "Context",
    "DirectoryEntry",
    "Entry",
    "Extent",
    "Fetch",
    "Filesystem",
    "FilesystemStatistics",
    "Lock",
    "LockTable",
    "Memory",
    "Mount",
    "NativeHandle",
    "Opened",
    "Passthrough",
    "PathFilesystem",
    "Pipe",
    "PollWaiter",
    "SegmentHandle",
    "SegmentList",
    "SetAttributes",
    "Socket",
    "Tree",
    "Zeros",
    "__version__",
    "mount",
    "serve",
    "serve_async",
]

_lifecycle.install()
