"""The extension module: values, segments, native file systems, mounts."""

import builtins
import os
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import (
    Any,
    ClassVar,
    Final,
    Literal,
    Protocol,
    Self,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    final,
)

from typing_extensions import Buffer, disjoint_base

from fusesg._data import Data
from fusesg._loop import RunningLoop

_T = TypeVar("_T")

_StrOrBytesPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
# NativeHandle or Opened; a method that overrides may have handles of its own type.
_Handle: TypeAlias = Any
# A SegmentList; a method that overrides may return all that `Answer` is.
_Answer: TypeAlias = Any
# What native operations answer; a method that overrides may be `async def`.
_AtOnce: TypeAlias = _T | Any
# Any Buffer; a method that overrides is given a memoryview by write, else bytes.
_Bytes: TypeAlias = Any

__version__: Final[str]

NOW: Final[Now]
"""The time of the change, as a value for the times of `SetAttributes`."""

WRITE_CACHE: Final = 1
"""Bit of `Context.write_flags`: the data comes from the page cache."""

WRITE_LOCKOWNER: Final = 2
"""Bit of `Context.write_flags`: `Context.lock_owner` is set."""

WRITE_KILL_SUIDGID: Final = 4
"""Bit of `Context.write_flags`: the write clears set-user-id and set-group-id."""

class _HasFileno(Protocol):
    """A file object, a socket, or what else has a descriptor."""

    def fileno(self) -> int:
        """The descriptor."""

@final
class Context:
    """Who asks: the last argument of every operation.

    For a read or write that comes from the page cache `uid`, `gid` and `pid` mean
    nothing: the kernel sends those on nobody's behalf.

    A program makes one only to call a method by itself, for example in a test.

    Args:
        uid: User of the caller; this process' effective user by default.
        gid: Group of the caller; this process' effective group by default.
        pid: Thread id of the caller; this process by default.
        umask: Permission bits the caller wants left out of what it creates.
        lock_owner: Owner of POSIX locks.
        open_flags: Flags of the open file.
        write_flags: `WRITE_CACHE` and the like.

    Raises:
        ValueError: A number is out of range.
        TypeError: A value is not an int.
    """

    def __new__(
        cls,
        *,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        pid: SupportsIndex | None = None,
        umask: SupportsIndex | None = None,
        lock_owner: int | None = None,
        open_flags: int = 0,
        write_flags: int = 0,
    ) -> Self: ...
    @property
    def uid(self) -> int:
        """Effective user of the caller."""
    @property
    def gid(self) -> int:
        """Effective group of the caller."""
    @property
    def pid(self) -> int:
        """Thread id of the caller; 0 for the kernel and for other pid namespaces."""
    @property
    def umask(self) -> int:
        """The caller's umask where something is created, else 0.

        The kernel has applied it to `mode` already, unless the file system keeps POSIX
        ACLs (then the ACL of the directory decides).
        """
    @property
    def unique(self) -> int:
        """Number of the request, as in the trace log; 0 where there is none."""
    @property
    def lock_owner(self) -> int | None:
        """Owner of POSIX locks, where the operation carries one."""
    @property
    def open_flags(self) -> int:
        """Flags (`os.O_*`) with which the caller opened the file.

        In open, create, read, write and release, and those of directories, else 0. All
        of them, while `flags` of `open` leaves out what a file of the class's own must
        not be opened with.
        """
    @property
    def write_flags(self) -> int:
        """`WRITE_CACHE`, `WRITE_LOCKOWNER`, `WRITE_KILL_SUIDGID` in write, else 0."""
    @property
    def cancelled(self) -> bool:
        """Whether the answer is no longer wanted.

        The caller was killed, or the request took longer than `Config.request_timeout`.
        A slow callback may stop working.
        """

@final
class Attributes:
    """Attributes of an inode: what stat(2) shows.

    Immutable and cheap: build one per answer, or keep it and return it again.

    Args:
        mode: Type and permissions as in `os.stat_result.st_mode`; the type bits
            (`stat.S_IFREG`, `stat.S_IFDIR` …) are required.
        inode: Inode number; 0 where the core assigns the numbers.
        size: Length in bytes, 0 by default.
        nlink: Number of hard links, 1 by default.
        uid: Owner; this process' effective user by default.
        gid: Group; this process' effective group by default.
        rdev: Device number of a device file, as `os.makedev` makes it.
        blocks: Blocks of 512 bytes that are allocated; by default what `size` needs.
        blksize: Preferred I/O size in bytes, 4096 by default.
        atime_ns: Last access, nanoseconds since the epoch; `mtime_ns` by default.
        mtime_ns: Last change of the content, nanoseconds since the epoch; 0 by default.
        ctime_ns: Last change of the attributes, nanoseconds since the epoch; `mtime_ns`
            by default.

    Raises:
        ValueError: A number is out of range, or `mode` has no type bits.
        TypeError: A value is not an int.
    """

    def __new__(
        cls,
        *,
        mode: SupportsIndex,
        inode: SupportsIndex | None = None,
        size: SupportsIndex | None = None,
        nlink: SupportsIndex | None = None,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        rdev: SupportsIndex | None = None,
        blocks: SupportsIndex | None = None,
        blksize: SupportsIndex | None = None,
        atime_ns: SupportsIndex | None = None,
        mtime_ns: SupportsIndex | None = None,
        ctime_ns: SupportsIndex | None = None,
    ) -> Self: ...
    @staticmethod
    def from_stat(st: os.stat_result, inode: SupportsIndex | None = None) -> Attributes:
        """The attributes that `os.stat`, `os.lstat` or `os.fstat` returned.

        Args:
            st: Anything with the attributes of `os.stat_result`.
            inode: Inode number in place of `st.st_ino`.

        Raises:
            AttributeError: `st` lacks one of them.
            ValueError: A number is out of range.
        """
    def replace(
        self,
        *,
        mode: SupportsIndex = ...,
        inode: SupportsIndex = ...,
        size: SupportsIndex = ...,
        nlink: SupportsIndex = ...,
        uid: SupportsIndex = ...,
        gid: SupportsIndex = ...,
        rdev: SupportsIndex = ...,
        blocks: SupportsIndex = ...,
        blksize: SupportsIndex = ...,
        atime_ns: SupportsIndex = ...,
        mtime_ns: SupportsIndex = ...,
        ctime_ns: SupportsIndex = ...,
    ) -> Attributes:
        """A copy with some fields changed; `size` changes `blocks`, too.

        Args:
            mode: As in the constructor, like the others.
            inode: Inode number.
            size: Length in bytes.
            nlink: Number of hard links.
            uid: Owner.
            gid: Group.
            rdev: Device number.
            blocks: Blocks of 512 bytes.
            blksize: Preferred I/O size in bytes.
            atime_ns: Last access, nanoseconds since the epoch.
            mtime_ns: Last change of the content, nanoseconds since the epoch.
            ctime_ns: Last change of the attributes, nanoseconds since the epoch.

        Raises:
            ValueError: A number is out of range, or `mode` has no type bits.
            TypeError: A value is not an int.
        """
    def __replace__(self, **changes: SupportsIndex) -> Attributes: ...
    @property
    def inode(self) -> int:
        """Inode number, `st_ino`."""
    @property
    def mode(self) -> int:
        """Type and permissions, `st_mode`."""
    @property
    def size(self) -> int:
        """Length in bytes."""
    @property
    def nlink(self) -> int:
        """Number of hard links."""
    @property
    def uid(self) -> int:
        """Owner."""
    @property
    def gid(self) -> int:
        """Group."""
    @property
    def rdev(self) -> int:
        """Device number of a device file."""
    @property
    def blocks(self) -> int:
        """Blocks of 512 bytes that are allocated."""
    @property
    def blksize(self) -> int:
        """Preferred I/O size in bytes."""
    @property
    def atime_ns(self) -> int:
        """Last access, nanoseconds since the epoch."""
    @property
    def mtime_ns(self) -> int:
        """Last change of the content, nanoseconds since the epoch."""
    @property
    def ctime_ns(self) -> int:
        """Last change of the attributes, nanoseconds since the epoch."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Entry:
    """What a name leads to: the answer to lookup and to all that creates a name.

    Immutable: it may be kept and returned again.

    Args:
        attributes: Attributes of the inode, whose number must not be 0 (but in a
            `PathFilesystem`, where 0 leaves the number to the core).
        entry_timeout: Seconds for which the kernel may believe that the name leads to
            this inode; None is the mount's default, `math.inf` for ever.
        attribute_timeout: Seconds for which it may believe the attributes.
        generation: Tells apart files that have the same inode number one after another.

    Raises:
        ValueError: A timeout is negative.
    """

    def __new__(
        cls,
        attributes: Attributes,
        entry_timeout: float | None = None,
        attribute_timeout: float | None = None,
        generation: SupportsIndex | None = None,
    ) -> Self: ...
    @property
    def attributes(self) -> Attributes:
        """Attributes of the inode."""
    @property
    def inode(self) -> int:
        """Inode number, that of the attributes."""
    @property
    def entry_timeout(self) -> float | None:
        """Seconds for which the kernel may believe the name."""
    @property
    def attribute_timeout(self) -> float | None:
        """Seconds for which the kernel may believe the attributes."""
    @property
    def generation(self) -> int:
        """Tells apart files with the same inode number."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class DirectoryEntry:
    """One name in a directory.

    Args:
        name: The name: 1 to 255 bytes without slash and NUL. "." and ".." may be given.
        inode: Inode number, above 0; in a `PathFilesystem` 0 leaves it to the core.
        type: A mode, or only its type bits (`stat.S_IFREG`, `stat.S_IFDIR` …).
        entry: What a lookup of the name would answer; saves the kernel that lookup
            where the class declares `readdirplus = True`.
        next_offset: Position after this entry, above 0, for classes that can continue
            a listing from a position. Give it with all entries of a listing, or with
            none: the core then keeps the listing while the directory is open.

    Raises:
        ValueError: A value is out of range, or the name cannot be a name.
    """

    def __new__(
        cls,
        name: _StrOrBytesPath,
        inode: SupportsIndex,
        type: SupportsIndex,  # noqa: A002
        entry: Entry | None = None,
        next_offset: SupportsIndex | None = None,
    ) -> Self: ...
    @staticmethod
    def of(
        name: _StrOrBytesPath,
        entry: Entry | Attributes,
        next_offset: SupportsIndex | None = None,
    ) -> DirectoryEntry:
        """An entry with the inode number and the type of `entry`.

        Args:
            name: The name.
            entry: What a lookup of the name would answer, or the attributes only.
            next_offset: Position after this entry.

        Raises:
            ValueError: A value is out of range, or the name cannot be a name.
        """
    @property
    def name(self) -> str:
        """The name, as `os.fsdecode` makes it."""
    @property
    def inode(self) -> int:
        """Inode number."""
    @property
    def type(self) -> int:
        """Type bits of the mode (`stat.S_IFREG`, `stat.S_IFDIR` …)."""
    @property
    def entry(self) -> Entry | None:
        """What a lookup of the name would answer."""
    @property
    def next_offset(self) -> int | None:
        """Position after this entry."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class FilesystemStatistics:
    """Size and use of a file system: what statvfs(3) shows.

    Args:
        block_size: Preferred I/O size in bytes, 4096 by default.
        fragment_size: Unit of the block counts in bytes; `block_size` by default.
        blocks: Size of the file system in fragments.
        blocks_free: Free fragments.
        blocks_available: Those that unprivileged users may use; all free ones by
            default.
        files: Number of inodes.
        files_free: Free inodes.
        files_available: Free inodes for unprivileged users. The kernel's protocol does
            not carry it: programs see `files_free`.
        name_max: Longest name in bytes, 255 by default.

    Raises:
        ValueError: A number is out of range.
    """

    def __new__(
        cls,
        *,
        block_size: SupportsIndex | None = None,
        fragment_size: SupportsIndex | None = None,
        blocks: SupportsIndex | None = None,
        blocks_free: SupportsIndex | None = None,
        blocks_available: SupportsIndex | None = None,
        files: SupportsIndex | None = None,
        files_free: SupportsIndex | None = None,
        files_available: SupportsIndex | None = None,
        name_max: SupportsIndex | None = None,
    ) -> Self: ...
    @staticmethod
    def from_statvfs(st: os.statvfs_result) -> FilesystemStatistics:
        """What `os.statvfs` or `os.fstatvfs` returned.

        Args:
            st: Anything with the attributes of `os.statvfs_result`.

        Raises:
            AttributeError: `st` lacks one of them.
        """
    @property
    def block_size(self) -> int:
        """Preferred I/O size in bytes."""
    @property
    def fragment_size(self) -> int:
        """Unit of the block counts in bytes."""
    @property
    def blocks(self) -> int:
        """Size of the file system in fragments."""
    @property
    def blocks_free(self) -> int:
        """Free fragments."""
    @property
    def blocks_available(self) -> int:
        """Free fragments for unprivileged users."""
    @property
    def files(self) -> int:
        """Number of inodes."""
    @property
    def files_free(self) -> int:
        """Free inodes."""
    @property
    def files_available(self) -> int:
        """Free inodes for unprivileged users."""
    @property
    def name_max(self) -> int:
        """Longest name in bytes."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Now:
    """The class of `NOW`, its only instance."""

@final
class SetAttributes:
    """The fields that setattr changes; None leaves a field as it is.

    Args:
        mode: New permissions; type bits are ignored.
        uid: New owner.
        gid: New group.
        size: New length in bytes.
        atime_ns: New access time in nanoseconds since the epoch, or `NOW`.
        mtime_ns: New modification time in nanoseconds since the epoch, or `NOW`.
        ctime_ns: New change time in nanoseconds since the epoch.
        kill_suid_sgid: Clear set-user-id, and set-group-id where the group may execute.

    Raises:
        ValueError: A number is out of range.
    """

    def __new__(
        cls,
        *,
        mode: SupportsIndex | None = None,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        size: SupportsIndex | None = None,
        atime_ns: SupportsIndex | Now | None = None,
        mtime_ns: SupportsIndex | Now | None = None,
        ctime_ns: SupportsIndex | None = None,
        kill_suid_sgid: bool = False,
    ) -> Self: ...
    def apply(
        self, attributes: Attributes, now_ns: SupportsIndex | None = None
    ) -> Attributes:
        """The attributes after these changes, as a POSIX file system would make them.

        A new size sets the modification time, every change the change time; the type
        of the file stays.

        Args:
            attributes: The attributes before.
            now_ns: What `NOW` stands for; the current time by default.

        Returns:
            The attributes after them.
        """
    @property
    def mode(self) -> int | None:
        """New permissions, without type bits."""
    @property
    def uid(self) -> int | None:
        """New owner."""
    @property
    def gid(self) -> int | None:
        """New group."""
    @property
    def size(self) -> int | None:
        """New length in bytes."""
    @property
    def atime_ns(self) -> int | Now | None:
        """New access time in nanoseconds since the epoch, or `NOW`."""
    @property
    def mtime_ns(self) -> int | Now | None:
        """New modification time in nanoseconds since the epoch, or `NOW`."""
    @property
    def ctime_ns(self) -> int | None:
        """New change time; comes only with the kernel's writeback cache."""
    @property
    def kill_suid_sgid(self) -> bool:
        """Clear set-user-id, and set-group-id where the group may execute.

        Comes only to file systems that promised to do so.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Lock:
    """A POSIX record lock.

    Args:
        type: `fcntl.F_RDLCK`, `fcntl.F_WRLCK` or `fcntl.F_UNLCK`.
        start: First byte, 0 by default.
        end: Last byte, inclusive; to the end of the file by default.
        pid: Process that holds it.

    Raises:
        ValueError: A number is out of range, or `end` lies before `start`.
    """

    END_OF_FILE: ClassVar[int]
    """`end` of a lock that reaches to the end of the file, wherever that will be."""

    def __new__(
        cls,
        type: SupportsIndex,  # noqa: A002
        start: SupportsIndex | None = None,
        end: SupportsIndex | None = None,
        pid: SupportsIndex | None = None,
    ) -> Self: ...
    @property
    def type(self) -> int:
        """`fcntl.F_RDLCK`, `fcntl.F_WRLCK` or `fcntl.F_UNLCK`."""
    @property
    def start(self) -> int:
        """First byte."""
    @property
    def end(self) -> int:
        """Last byte, inclusive; `END_OF_FILE` for all that follow `start`."""
    @property
    def pid(self) -> int:
        """Process that holds it."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Opened:
    """A handle and how the kernel shall treat the open file or directory.

    What is None is as the mount's `Config` says.

    Args:
        handle: Any object; comes back with every operation on the open file.
        direct_io: Bypass the page cache: every read and write comes to the file system,
            as the program made it.
        keep_cache: Keep what the page cache has of the file from earlier opens.
        no_flush: Do not send flush at close.
        parallel_direct_writes: Direct writes to one file may come at the same time.
        nonseekable: The file has no positions, like a pipe.
        cache_directory: The kernel may keep the listing of this directory.
    """

    def __new__(
        cls,
        handle: object,
        *,
        direct_io: bool | None = None,
        keep_cache: bool | None = None,
        no_flush: bool | None = None,
        parallel_direct_writes: bool | None = None,
        nonseekable: bool = False,
        cache_directory: bool | None = None,
    ) -> Self: ...
    @property
    def handle(self) -> Any:  # noqa: ANN401
        """The handle."""
    @property
    def direct_io(self) -> bool | None:
        """Bypass the page cache."""
    @property
    def keep_cache(self) -> bool | None:
        """Keep what the page cache has."""
    @property
    def no_flush(self) -> bool | None:
        """Do not send flush at close."""
    @property
    def parallel_direct_writes(self) -> bool | None:
        """Direct writes may come at the same time."""
    @property
    def nonseekable(self) -> bool:
        """The file has no positions."""
    @property
    def cache_directory(self) -> bool | None:
        """The kernel may keep the listing."""

@final
class NativeHandle:
    """An open file or directory of a native file system, such as `Passthrough`.

    Comes from `super().open()`, `super().create()` and `super().opendir()`. Returned
    from open it makes the file a native one: the operations that the class does not
    override never enter Python. Kept inside a handle of one's own it is passed to
    `super().read()` and the like. It is closed when the kernel releases it, or when the
    object dies without ever having been returned.
    """

@final
class PollWaiter:
    """Wakes those who poll an open file.

    Waiters for the same open file are equal: a set of them has one for each.
    """

    def notify(self) -> None:
        """Tells the kernel that the file's readiness changed; it then asks again.

        May be called from any thread, in callbacks and coroutines, long after poll
        returned and when the file is closed or the mount has ended: it then does
        nothing.
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Backing:
    """A file that extents point into.

    Kept open until its last extent and its last request are gone.

    Args:
        source: A path; or a file descriptor or an object with `fileno()`, which is
            duplicated, so the original may be closed. Data in the buffer of a Python
            file object is not seen: flush it first.
        writable: Writes may go there (`write_plan`).
        immutable: A promise that the content never changes nor shrinks as long as the
            backing is in use. Reads of 16 KiB and more are then sent from where the
            file is mapped, without a pipe or a copy. Should the file shrink all the
            same, they fail with EIO.

    Raises:
        OSError: The path cannot be opened, or the descriptor is not open.
        ValueError: The file has no positions (a pipe, a socket), or the descriptor was
            not opened for what is asked.
        TypeError: `source` is something else.
    """

    def __new__(
        cls,
        source: _StrOrBytesPath | int | _HasFileno,
        *,
        writable: bool = False,
        immutable: bool = False,
    ) -> Self: ...
    def extent(
        self, offset: SupportsIndex | None = None, length: SupportsIndex | None = None
    ) -> Extent:
        """A range of the file.

        Args:
            offset: First byte, 0 by default.
            length: Number of bytes; by default all that the file has now.

        Raises:
            ValueError: No file is that long.
        """
    @property
    def size(self) -> int:
        """Length of the file in bytes, now."""
    @property
    def writable(self) -> bool:
        """Whether writes may go there."""
    @property
    def immutable(self) -> bool:
        """Whether the content is promised never to change."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Extent:
    """A range of a file, from `Backing.extent`: its bytes never enter Python."""

    @property
    def backing(self) -> Backing:
        """The file."""
    @property
    def offset(self) -> int:
        """First byte."""
    @property
    def length(self) -> int:
        """Number of bytes."""
    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Zeros:
    """That many zero bytes.

    Args:
        length: Number of bytes.

    Raises:
        ValueError: `length` is negative, or no file is that long.
        TypeError: `length` is not an int.
    """

    def __new__(cls, length: SupportsIndex) -> Self: ...
    @property
    def length(self) -> int:
        """Number of bytes."""
    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Pipe:
    """The next bytes of a pipe or FIFO, for the read that returns it.

    `read` may return it alone or in a list with other data. Its bytes are consumed in
    the order of the list, as far as nothing before them was short; they are waited for
    as long as the answer is wanted: until the caller is killed, `request_timeout`
    passes or the mount ends. What was consumed by then is lost. Where the stream ends
    early, the answer does.

    Each byte goes to one read: a program's readahead asks for several ranges at the
    same time and in any order. Open such files with `Opened(direct_io=True)`, or take
    care which read gets which pipe.

    Args:
        fd: The read end: a file descriptor or an object with `fileno()`, which is
            duplicated, so the original may be closed; whether it blocks makes no
            difference. What a Python file object has in its buffer is not seen.
        length: Number of bytes.

    Raises:
        OSError: The descriptor is not open.
        ValueError: It is no pipe or its write end, or no file is as long as `length`.
        TypeError: `fd` or `length` is something else.
    """

    def __new__(cls, fd: int | _HasFileno, length: SupportsIndex) -> Self: ...
    @property
    def length(self) -> int:
        """Number of bytes."""
    def __len__(self) -> int: ...

@final
class Socket:
    """The next bytes of a stream socket, for the read that returns it.

    All that is said about `Pipe` is true of it as well.

    Large answers reach the kernel without a copy from sockets of the family AF_UNIX,
    and from others if they do not block (`sock.setblocking(False)`).

    Args:
        sock: A connected socket of type SOCK_STREAM: a file descriptor or an object
            with `fileno()`, which is duplicated, so the original may be closed.
        length: Number of bytes.

    Raises:
        OSError: The descriptor is not open.
        ValueError: It is no socket, one for datagrams, or one that listens; or no file
            is as long as `length`.
        TypeError: `sock` or `length` is something else.
    """

    def __new__(cls, sock: int | _HasFileno, length: SupportsIndex) -> Self: ...
    @property
    def length(self) -> int:
        """Number of bytes."""
    def __len__(self) -> int: ...

@final
class Fetch:
    """A piece of data that takes long to get: a range of an object store, for example.

    ```python
    def read(self, inode, handle, offset, size, ctx):
        return [
            fusesg.Fetch(functools.partial(self.get, start, n), n)
            for start, n in chunks(offset, min(size, self.size - offset))
        ]
    ```

    `read` returns it, alone or in a list or tuple together with other segments. All
    pieces of an answer are fetched at the same time, up to `Config.max_fetches` for
    the whole mount, and the answer is sent once. A piece that is shorter than its
    length ends the answer there. The first piece that fails, in time, fails the read:
    pieces that have not begun never do, awaitables are cancelled. So it goes when
    the program that reads is killed, and when the mount ends. A function cannot be
    interrupted; what it returns then is dropped.

    Args:
        source: A function without arguments, called in one of the mount's threads. It
            returns whatever `read` may return, but no further `Fetch`. Or a function
            that returns an awaitable, which an `async def` function does: that is
            awaited in the mount's asyncio event loop. Either may be called again if
            this object answers several reads. Or the awaitable itself, which can
            answer only one.
        length: The number of bytes that it returns, or fewer if the file ends.

    Raises:
        TypeError: `source` is neither, or `length` is no int.
        ValueError: `length` is negative, or longer than any file.
    """

    def __new__(
        cls, source: Callable[[], Any] | Awaitable[Any], length: SupportsIndex
    ) -> Self: ...
    @property
    def source(self) -> Callable[[], Any] | Awaitable[Any]:
        """What it comes from."""
    @property
    def length(self) -> int:
        """Number of bytes."""
    def __len__(self) -> int: ...

@final
class SegmentList:
    """Pieces of data one after another: the field's scatter-gather list.

    Immutable. The natural answer to a read of a file with a fixed layout is
    `return self.layout[inode].slice(offset, size)`.

    Buffers are not copied but shared: they stay alive, and a bytearray cannot be
    resized, as long as the list or an answer made of it is in use. (Buffers of up to
    1 KiB are copied.) Who changes a shared buffer meanwhile changes what readers see.

    Args:
        segments: Extents, zeros, buffers, and lists of these.

    Raises:
        TypeError: Something is no data that can be read again; a `Pipe` or `Socket` can
            only be returned from `read`, alone or in a list.
        ValueError: The total is longer than any file.
    """

    def __new__(cls, segments: Data | Iterable[Data] | None = None) -> Self: ...
    def slice(self, offset: SupportsIndex, size: SupportsIndex) -> SegmentList:
        """The part from `offset` on, clipped to the end of the list.

        Args:
            offset: First byte.
            size: Number of bytes at most.

        Raises:
            ValueError: A number is negative.
        """
    def tobytes(self) -> bytes:
        """The bytes themselves, read now; fewer where a file ends early.

        Raises:
            OSError: A file cannot be read.
        """
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __bytes__(self) -> bytes: ...
    def __iter__(self) -> Iterator[Extent | Zeros | memoryview]: ...
    def __add__(self, other: Data, /) -> SegmentList: ...
    def __radd__(self, other: Data, /) -> SegmentList: ...

@final
class BackingHandle:
    """An open file that is another file, or a part of it.

    Returned from `open` or `create`, bare or in an `Opened`, it carries out reads and
    writes, `lseek`, `fallocate`, `fsync` and `flush` without Python, also where the
    class has methods for them, and is closed without `release`. All else comes to the
    class: `getattr` says how long the file is.

    A write goes to the backing if that is `writable`; else it fails with EBADF. What
    lies beyond `length` does not exist: a write there fails with ENOSPC.

    With `Config.kernel_passthrough` the kernel reads and writes the backing by itself,
    if the handle is all of a regular file (no offset, no length) and the machine allows
    it; the log tells once why not. (A class that derives from `Passthrough` or `Memory`
    and overrides `read` or `write` goes without.) As long as it does so, each open of
    that inode has to name the same file, and one for writing a writable backing:
    another one is answered EBUSY.

    A handle may be returned as often as one likes.

    Args:
        backing: The file.
        offset: Its first byte; None is the start.
        length: How many bytes; None is as far as the file goes when it is read.

    Raises:
        TypeError: `backing` is no `Backing`.
        ValueError: An offset is out of range.
    """

    def __new__(
        cls,
        backing: Backing,
        offset: SupportsIndex | None = None,
        length: SupportsIndex | None = None,
    ) -> Self: ...
    @property
    def backing(self) -> Backing:
        """The file."""
    @property
    def offset(self) -> int:
        """First byte."""
    @property
    def length(self) -> int | None:
        """Number of bytes, if it was given."""

@final
class SegmentHandle:
    """An open file that consists of segments.

    Reads and seeks go as with a `BackingHandle`, without Python; zeros count as holes.
    Writes fail with EROFS.

    Args:
        segments: A `SegmentList`, or what it may be made of.

    Raises:
        TypeError: Something is no data that can be read again.
    """

    def __new__(cls, segments: Data) -> Self: ...
    def __len__(self) -> int: ...

@final
class BytesHandle:
    """An open file that is a buffer.

    As `SegmentHandle`. The buffer is shared, not copied, unless it is small (1 KiB).

    Args:
        buffer: bytes, bytearray, memoryview, mmap, array: anything contiguous.

    Raises:
        TypeError: It is no buffer.
        BufferError: It is not contiguous.
    """

    def __new__(cls, buffer: Buffer) -> Self: ...
    def __len__(self) -> int: ...

@disjoint_base
class Tree(NativeFilesystem):
    """The native read-only tree; see `fusesg.Tree`.

    Args:
        mode: Permissions of the root directory, 0o755 by default.
        uid: Owner of what is added without one; the effective user by default.
        gid: Group of what is added without one; the effective group by default.
        mtime_ns: Time of what is added without one; now by default.

    Raises:
        ValueError: A number is out of range.
        TypeError: An argument is no int.
    """

    def __init__(
        self,
        *,
        mode: SupportsIndex | None = None,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        mtime_ns: SupportsIndex | None = None,
    ) -> None: ...
    def add_file(
        self,
        path: _StrOrBytesPath,
        segments: Data,
        *,
        mode: SupportsIndex | None = None,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        mtime_ns: SupportsIndex | None = None,
        atime_ns: SupportsIndex | None = None,
        ctime_ns: SupportsIndex | None = None,
        xattrs: Mapping[str, Buffer] | None = None,
    ) -> int:
        """Adds a file that consists of segments.

        Args:
            path: Where it is.
            segments: A `SegmentList` or what it may be made of; its length is the
                file's. Zeros are holes.
            mode: Permissions, 0o644 by default; the type bits of `os.stat` are allowed.
            uid: Owner; the tree's by default.
            gid: Group; the tree's by default.
            mtime_ns: Last change of the content, nanoseconds since the epoch; the
                tree's by default.
            atime_ns: Last access; as `mtime_ns` by default.
            ctime_ns: Last change of the attributes; as `mtime_ns` by default.
            xattrs: Extended attributes by name.

        Returns:
            Its inode number.

        Raises:
            FileExistsError: There is something of that path.
            NotADirectoryError: A part of the path is a file.
            ValueError: No file can have this path (".", "..", empty and long names).
            RuntimeError: The tree is finished.
        """
    def add_directory(
        self,
        path: _StrOrBytesPath,
        *,
        mode: SupportsIndex | None = None,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        mtime_ns: SupportsIndex | None = None,
        atime_ns: SupportsIndex | None = None,
        ctime_ns: SupportsIndex | None = None,
        xattrs: Mapping[str, Buffer] | None = None,
    ) -> int:
        """Adds a directory, or says what one is like that was made on the way.

        Args:
            path: Where it is.
            mode: Permissions, 0o755 by default.
            uid: Owner; the tree's by default.
            gid: Group; the tree's by default.
            mtime_ns: Last change, nanoseconds since the epoch; the tree's by default.
            atime_ns: Last access; as `mtime_ns` by default.
            ctime_ns: Last change of the attributes; as `mtime_ns` by default.
            xattrs: Extended attributes by name.

        Returns:
            Its inode number.

        Raises:
            FileExistsError: That was added before.
            NotADirectoryError: A part of the path is a file.
            ValueError: No directory can have this path.
            RuntimeError: The tree is finished.
        """
    def add_symlink(
        self,
        path: _StrOrBytesPath,
        target: _StrOrBytesPath,
        *,
        mode: SupportsIndex | None = None,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        mtime_ns: SupportsIndex | None = None,
        atime_ns: SupportsIndex | None = None,
        ctime_ns: SupportsIndex | None = None,
        xattrs: Mapping[str, Buffer] | None = None,
    ) -> int:
        """Adds a symbolic link.

        Args:
            path: Where it is.
            target: Where it leads; need not exist.
            mode: Permissions, 0o777 by default.
            uid: Owner; the tree's by default.
            gid: Group; the tree's by default.
            mtime_ns: Last change, nanoseconds since the epoch; the tree's by default.
            atime_ns: Last access; as `mtime_ns` by default.
            ctime_ns: Last change of the attributes; as `mtime_ns` by default.
            xattrs: Extended attributes by name.

        Returns:
            Its inode number.

        Raises:
            OSError: As for `add_file`; ValueError and RuntimeError likewise.
        """
    def add_link(self, path: _StrOrBytesPath, target: _StrOrBytesPath) -> int:
        """Adds another name for a file or symbolic link (a hard link).

        Args:
            path: The new name.
            target: What was added before.

        Returns:
            The inode number of both.

        Raises:
            FileNotFoundError: There is no `target`.
            IsADirectoryError: `target` is a directory.
            FileExistsError: There is something of that path.
        """
    def extend(self, files: Iterable[tuple[Any, ...]]) -> None:
        """Adds many files, a million in a second or two.

        What was added before an error stays.

        Args:
            files: Tuples (path, segments, mode, uid, gid, mtime_ns), of which all but
                the first two may be left out or None.

        Raises:
            TypeError: Something is no such tuple.
            OSError: As for `add_file`; ValueError and RuntimeError likewise.
        """
    def __len__(self) -> int:
        """How many inodes there are, the root among them."""
    def __bool__(self) -> Literal[True]: ...

@disjoint_base
class NativeFilesystem:
    """The base of the native file systems, `Passthrough`, `Memory` and `Tree`.

    The methods are the native operations, for `super()`. An `Entry` that they return
    keeps its inode known, and may be kept and returned again; without it, and once the
    kernel has forgotten it, the inode's number means nothing any more.
    """

    __fusesg_base__: ClassVar[bool]

    def lookup(self, parent: int, name: str, ctx: Context) -> _AtOnce[Entry | None]:
        """Finds a name in a directory. See `Filesystem.lookup`."""
    def forget(self, inode: int, count: int) -> _AtOnce[None]:
        """The kernel has dropped `count` lookups. See `Filesystem.forget`."""
    def getattr(self, inode: int, handle: _Handle, ctx: Context) -> _AtOnce[Attributes]:
        """Attributes of an inode: stat(2). See `Filesystem.getattr`."""
    def setattr(
        self, inode: int, changes: SetAttributes, handle: _Handle, ctx: Context
    ) -> _AtOnce[Attributes]:
        """Changes attributes. See `Filesystem.setattr`."""
    def readlink(self, inode: int, ctx: Context) -> _AtOnce[str]:
        """Target of a symbolic link. See `Filesystem.readlink`."""
    def mknod(
        self, parent: int, name: str, mode: int, rdev: int, ctx: Context
    ) -> _AtOnce[Entry]:
        """Creates a file, FIFO, socket or device. See `Filesystem.mknod`."""
    def mkdir(self, parent: int, name: str, mode: int, ctx: Context) -> _AtOnce[Entry]:
        """Creates a directory. See `Filesystem.mkdir`."""
    def symlink(
        self, parent: int, name: str, target: str, ctx: Context
    ) -> _AtOnce[Entry]:
        """Creates a symbolic link. See `Filesystem.symlink`."""
    def link(
        self, inode: int, new_parent: int, new_name: str, ctx: Context
    ) -> _AtOnce[Entry]:
        """Creates a hard link. See `Filesystem.link`."""
    def unlink(self, parent: int, name: str, ctx: Context) -> _AtOnce[None]:
        """Removes a name that is not a directory. See `Filesystem.unlink`."""
    def rmdir(self, parent: int, name: str, ctx: Context) -> _AtOnce[None]:
        """Removes an empty directory. See `Filesystem.rmdir`."""
    def rename(
        self,
        parent: int,
        name: str,
        new_parent: int,
        new_name: str,
        flags: int,
        ctx: Context,
    ) -> _AtOnce[None]:
        """Renames or moves; an existing target is replaced. See `Filesystem.rename`."""
    def open(self, inode: int, flags: int, ctx: Context) -> _Handle:
        """Opens a file. See `Filesystem.open`."""
    def create(
        self, parent: int, name: str, mode: int, flags: int, ctx: Context
    ) -> _AtOnce[tuple[Entry, _Handle]]:
        """Creates and opens a file. See `Filesystem.create`."""
    def read(
        self, inode: int, handle: _Handle, offset: int, size: int, ctx: Context
    ) -> _Answer:
        """Reads from a file. See `Filesystem.read`."""
    def write(
        self, inode: int, handle: _Handle, offset: int, data: _Bytes, ctx: Context
    ) -> _AtOnce[int]:
        """Writes to a file. See `Filesystem.write`."""
    def flush(self, inode: int, handle: _Handle, ctx: Context) -> _AtOnce[None]:
        """A descriptor of an open file was closed. See `Filesystem.flush`."""
    def release(self, inode: int, handle: _Handle, ctx: Context) -> _AtOnce[None]:
        """The last descriptor of an open file was closed. See `Filesystem.release`."""
    def fsync(
        self, inode: int, handle: _Handle, datasync: bool, ctx: Context
    ) -> _AtOnce[None]:
        """Brings a file to stable storage. See `Filesystem.fsync`."""
    def opendir(self, inode: int, flags: int, ctx: Context) -> _Handle:
        """Opens a directory. See `Filesystem.opendir`."""
    def readdir(
        self, inode: int, handle: _Handle, offset: int, ctx: Context
    ) -> _AtOnce[Iterable[DirectoryEntry]]:
        """Lists a directory. See `Filesystem.readdir`."""
    def releasedir(self, inode: int, handle: _Handle, ctx: Context) -> _AtOnce[None]:
        """An open directory was closed. See `Filesystem.releasedir`."""
    def fsyncdir(
        self, inode: int, handle: _Handle, datasync: bool, ctx: Context
    ) -> _AtOnce[None]:
        """Brings a directory to stable storage. See `Filesystem.fsyncdir`."""
    def statfs(self, inode: int, ctx: Context) -> _AtOnce[FilesystemStatistics]:
        """Sizes of the file system: statvfs(3), df(1). See `Filesystem.statfs`."""
    def getxattr(self, inode: int, name: str, ctx: Context) -> _AtOnce[bytes]:
        """Value of an extended attribute. See `Filesystem.getxattr`."""
    def setxattr(
        self, inode: int, name: str, value: _Bytes, flags: int, ctx: Context
    ) -> _AtOnce[None]:
        """Sets an extended attribute. See `Filesystem.setxattr`."""
    def listxattr(self, inode: int, ctx: Context) -> _AtOnce[Iterable[str]]:
        """Names of the extended attributes. See `Filesystem.listxattr`."""
    def removexattr(self, inode: int, name: str, ctx: Context) -> _AtOnce[None]:
        """Removes an extended attribute. See `Filesystem.removexattr`."""
    def fallocate(
        self,
        inode: int,
        handle: _Handle,
        offset: int,
        length: int,
        mode: int,
        ctx: Context,
    ) -> _AtOnce[None]:
        """Allocates, frees or zeroes a range. See `Filesystem.fallocate`."""
    def lseek(
        self, inode: int, handle: _Handle, offset: int, whence: int, ctx: Context
    ) -> _AtOnce[int]:
        """Finds data or a hole. See `Filesystem.lseek`."""
    def copy_file_range(
        self,
        in_inode: int,
        in_handle: _Handle,
        in_offset: int,
        out_inode: int,
        out_handle: _Handle,
        out_offset: int,
        length: int,
        flags: int,
        ctx: Context,
    ) -> _AtOnce[int]:
        """Copies between two files of this mount. See `Filesystem.copy_file_range`."""
    def ioctl(
        self,
        inode: int,
        handle: _Handle,
        command: int,
        data: _Bytes,
        out_size: int,
        ctx: Context,
    ) -> _AtOnce[tuple[int, bytes]]:
        """A control command. See `Filesystem.ioctl`."""
    def poll(
        self,
        inode: int,
        handle: _Handle,
        events: int,
        waiter: PollWaiter | None,
        ctx: Context,
    ) -> _AtOnce[int]:
        """Files are always ready; the kernel asks only where a class overrides this."""

class Passthrough(NativeFilesystem):
    """The native directory file system; see `fusesg.Passthrough`.

    Args:
        source: The directory that is shown.

    Raises:
        OSError: It is no directory, or cannot be opened.
    """

    __fusesg_base__: ClassVar[bool]

    def __init__(self, source: _StrOrBytesPath) -> None: ...

class Memory(NativeFilesystem):
    """The native file system in memory; see `fusesg.Memory`.

    Args:
        size: How many bytes it may hold; None is half of the machine's memory.
        inodes: How many inodes it may have; None is one for each 4096 bytes of that.
        uid: Owner of the root directory; this process' effective user by default.
        gid: Group of the root directory; this process' effective group by default.
        mode: Permissions of the root directory, 0o755 by default.

    Raises:
        ValueError: A number is out of range.
        TypeError: An argument is no int.
    """

    __fusesg_base__: ClassVar[bool]

    def __init__(
        self,
        size: SupportsIndex | None = None,
        inodes: SupportsIndex | None = None,
        *,
        uid: SupportsIndex | None = None,
        gid: SupportsIndex | None = None,
        mode: SupportsIndex | None = None,
    ) -> None: ...

@final
class PendingIo:
    """An I/O that a `Client` carries out while somebody awaits it."""

    def cancel(self) -> None:
        """Does not begin it, if it has not begun."""

@final
class Client:
    """A file system used without a mount; see `fusesg.Client`, which has one.

    Args:
        filesystem: What to use.
        settings: Options by name; None is the default.

    Raises:
        OSError: What the file system's `init` raised.
        TypeError: The file system cannot be used, or there is no such option.
        ValueError: An option is out of range.
    """

    def __new__(cls, filesystem: object, settings: dict[str, Any]) -> Self: ...
    @property
    def closed(self) -> bool:
        """Whether it was closed."""
    def close(self) -> None:
        """Closes what is open, and calls the file system's `destroy`."""
    def statistics(self) -> dict[str, Any]:
        """What was asked for, how, and what is held."""
    def open(self, path: _StrOrBytesPath, flags: int, mode: int) -> int:
        """Opens a file or directory."""
    def close_file(self, fd: int) -> None:
        """Closes a descriptor."""
    def lseek(self, fd: int, offset: int, whence: int) -> int:
        """Moves a file's position."""
    def fstat(self, fd: int) -> Attributes:
        """Attributes of an open file."""
    def fsetattr(self, fd: int, changes: SetAttributes) -> None:
        """Changes attributes of an open file."""
    def fsync(self, fd: int, datasync: bool) -> None:
        """Stores what was written."""
    def fallocate(self, fd: int, mode: int, offset: int, length: int) -> None:
        """Allocates or removes space."""
    def copy_file_range(
        self, src: int, dst: int, count: int, offset_src: int, offset_dst: int
    ) -> int:
        """Copies bytes of one file to another."""
    def stat(self, path: _StrOrBytesPath, follow: bool) -> Attributes:
        """Attributes of what a path leads to."""
    def setattr(
        self, path: _StrOrBytesPath, changes: SetAttributes, follow: bool
    ) -> None:
        """Changes attributes of what a path leads to."""
    def access(self, path: _StrOrBytesPath, mask: int, follow: bool) -> None:
        """Whether the caller may do what `mask` says; an error if not."""
    def statvfs(self, path: _StrOrBytesPath) -> FilesystemStatistics:
        """Numbers of the file system."""
    def fstatvfs(self, fd: int) -> FilesystemStatistics:
        """The same at an open file."""
    def list(
        self, path: _StrOrBytesPath
    ) -> builtins.list[tuple[str, int, int, Attributes | None]]:
        """The entries of a directory: name, inode, type, attributes if listed."""
    def mkdir(self, path: _StrOrBytesPath, mode: int) -> None:
        """Makes a directory."""
    def mknod(self, path: _StrOrBytesPath, mode: int, device: int) -> None:
        """Makes a file, FIFO, socket or device, of the kernel's device number."""
    def rmdir(self, path: _StrOrBytesPath) -> None:
        """Removes a directory."""
    def unlink(self, path: _StrOrBytesPath) -> None:
        """Removes a name of a file."""
    def rename(self, src: _StrOrBytesPath, dst: _StrOrBytesPath, flags: int) -> None:
        """Renames or exchanges."""
    def link(self, src: _StrOrBytesPath, dst: _StrOrBytesPath, follow: bool) -> None:
        """Gives a file another name."""
    def symlink(self, src: _StrOrBytesPath, dst: _StrOrBytesPath) -> None:
        """Makes a symbolic link."""
    def readlink(self, path: _StrOrBytesPath) -> str:
        """The text of a symbolic link."""
    def getxattr(
        self, path: _StrOrBytesPath, attribute: _StrOrBytesPath, follow: bool
    ) -> bytes:
        """The value of an attribute."""
    def setxattr(
        self,
        path: _StrOrBytesPath,
        attribute: _StrOrBytesPath,
        value: Buffer,
        flags: int,
        follow: bool,
    ) -> None:
        """Sets an attribute."""
    def listxattr(self, path: _StrOrBytesPath, follow: bool) -> builtins.list[str]:
        """The names of all attributes."""
    def removexattr(
        self, path: _StrOrBytesPath, attribute: _StrOrBytesPath, follow: bool
    ) -> None:
        """Removes an attribute."""
    def read(self, fd: int, size: int, offset: int | None) -> bytes:
        """Reads at most `size` bytes; at the file's position if `offset` is None."""
    def write(self, fd: int, data: Buffer, offset: int | None) -> int:
        """Writes bytes; at the file's position if `offset` is None."""
    def readv(self, fd: int, buffers: Iterable[Buffer], offset: int | None) -> int:
        """Reads into buffers; at the file's position if `offset` is None."""
    def writev(self, fd: int, buffers: Iterable[Buffer], offset: int | None) -> int:
        """Writes buffers; at the file's position if `offset` is None."""
    def begin_read(
        self,
        fd: int,
        size: int,
        offset: int,
        loop: object,
        done: Callable[[bytes | None, BaseException | None], object],
    ) -> PendingIo:
        """Begins to read; `done(result, error)` is called in `loop`."""
    def begin_readv(
        self,
        fd: int,
        buffers: Iterable[Buffer],
        offset: int,
        loop: object,
        done: Callable[[int | None, BaseException | None], object],
    ) -> PendingIo:
        """Begins to read into buffers; `done(result, error)` is called in `loop`."""
    def begin_writev(
        self,
        fd: int,
        buffers: Iterable[Buffer],
        offset: int,
        loop: object,
        done: Callable[[int | None, BaseException | None], object],
    ) -> PendingIo:
        """Begins to write buffers; `done(result, error)` is called in `loop`."""

@final
class Mount:
    """A mounted file system; see `fusesg.Mount`, which has one.

    Args:
        filesystem: What to serve.
        mountpoint: An existing directory or regular file, as an absolute path.
        settings: What `fusesg.Config.settings` returns.
        running_loop: Where callbacks are awaited; None is a loop of the mount's own.

    Raises:
        OSError: It could not be mounted; the message says what to do about it.
        TypeError: The file system cannot be served, or there is no such setting.
        ValueError: A setting is out of range.
    """

    def __new__(
        cls,
        filesystem: object,
        mountpoint: str,
        settings: dict[str, Any] | None = None,
        running_loop: RunningLoop | None = None,
    ) -> Self: ...
    @property
    def path(self) -> str:
        """Where it is mounted."""
    @property
    def loop(self) -> AbstractEventLoop:
        """The event loop in which callbacks are awaited; starts it."""
    def run_in(self, running_loop: RunningLoop) -> None:
        """Has callbacks awaited in that loop, unless they already are in another."""
    @property
    def is_alive(self) -> bool:
        """Whether it is mounted and served."""
    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it has ended, at most `timeout` seconds; whether it has.

        Runs signal handlers meanwhile, if this is the main thread.
        """
    def unmount(self) -> None:
        """Unmounts, and waits for the serving threads a bounded time."""
    def abort(self) -> None:
        """Ends the connection at once: all requests fail."""
    def statistics(self) -> dict[str, Any]:
        """What was served so far."""
    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Where Prometheus may ask for the same: host and port."""
    def invalidate_inode(self, inode: int, offset: int = 0, length: int = 0) -> None:
        """Makes the kernel forget attributes and cached data."""
    def invalidate_entry(
        self, parent: int, name: str, deleted: bool = False, inode: int | None = None
    ) -> None:
        """Makes the kernel forget a name."""
    def locate(self, path: _StrOrBytesPath) -> tuple[int | None, str, int | None, bool]:
        """What the kernel knows of a path.

        Returns:
            The inode of its directory, its name there, its own inode, and whether that
            is a directory's.
        """
    def store(self, inode: int, offset: int, data: Buffer) -> None:
        """Puts data into the kernel's cache."""
    def flush_notifications(self, timeout: float | None = None) -> bool:
        """Waits until the kernel has carried out what it was told; whether it has."""

def is_asynchronous(filesystem: object) -> bool:
    """Whether any of its methods is `async def`."""

def next_log_record(timeout: float | None = None) -> tuple[int, str, str] | None:
    """The next log record: level of the module logging, target, message.

    Args:
        timeout: How many seconds to wait for one; None is for ever.

    Returns:
        The record; None if there is none in time, or the queue is closed and empty.
    """

def close_log_queue() -> None:
    """Lets `next_log_record` return None once the queue is empty."""

def flush_log_queue(timeout: float) -> bool:
    """Waits until a reader without a timeout has handed over all; whether it has.

    Args:
        timeout: How many seconds to wait at most.
    """

def set_log_level(level: int) -> None:
    """Sets the least severe level that gets into the queue."""

def _shutdown() -> None:
    """Unmounts all mounts, and keeps threads out of the ending interpreter."""

def _after_fork_in_child() -> None:
    """Makes a forked child forget its parent's mounts."""
