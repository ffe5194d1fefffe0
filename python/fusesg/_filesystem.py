# ruff: noqa: ANN401 - a handle is any object, and overriding methods say which
# ruff: noqa: ARG002 - the methods of this class are there to be overridden
# ruff: noqa: D402 - "stat(2)" is no signature
# ruff: noqa: D417 - what all methods share is said once, in the class's docstring
"""The base class of file systems that are written in Python."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from fusesg._core import (
        Attributes,
        Context,
        DirectoryEntry,
        Entry,
        FilesystemStatistics,
        Lock,
        PollWaiter,
        SetAttributes,
    )
    from fusesg._data import Answer, Data, Listing, MaybeAwaitable


class Filesystem:
    """A file system by inodes: subclass it, and define the operations it has.

    ```python
    class Empty(fusesg.Filesystem):
        def getattr(self, inode, handle, ctx):
            return fusesg.Attributes(inode=inode, mode=stat.S_IFDIR | 0o755)

        def lookup(self, parent, name, ctx):
            return None

        def readdir(self, inode, handle, offset, ctx):
            return []
    ```

    **Arguments** mean the same everywhere. `inode` is the number of the file; the root
    is 1 (`fusesg.ROOT_INODE`). `parent` and `name` are the inode of a directory and a
    name in it: a str as `os.fsdecode` makes them, never "." or "..". `handle` is what
    `open`, `create` or `opendir` returned, the very object. `ctx` tells who calls, and
    always comes last. Offsets and sizes are bytes; times are integer nanoseconds since
    the epoch; modes, flags and errnos are those of the modules stat, os and errno.

    **Absent methods.** What a class does not define never reaches Python: the core
    answers as said below after "Without it". The methods of this base class count as
    absent; called through `super()` they raise OSError with ENOSYS, or do nothing where
    doing nothing is right. `fusesg.mount` warns of a method whose name is nearly that
    of an operation, or that of another library, and refuses one that does not take the
    arguments below.

    **Errors.** Raise OSError with an errno, or one of its subclasses:
    `raise FileNotFoundError(errno.ENOENT, name)`. An exception that says nothing
    about an errno is answered EIO and logged with its traceback to the logger
    `fusesg`.

    **Async methods.** Every method may be `async def`, and a class may have both kinds;
    a plain method may also return something that can be awaited. They are awaited in an
    asyncio event loop, one task for each request: see `fusesg.mount` for which loop.
    `readdir` and `listxattr` may be asynchronous generators. A task is cancelled when
    nobody waits for its answer any more, or the mount ends. Code in the loop must not
    block, least of all on its own mount.

    **Threads.** Plain methods are called from several threads at once, as far as the
    interpreter lock lets them; the kernel serialises changes of one directory, and
    nothing else may be relied upon.

    Attributes:
        readdirplus: The kernel may ask `readdir` for attributes: an entry that carries
            an `Entry` saves it a lookup. Default: True for a class that defines
            `readdir` and not `forget` (see there).
        atomic_o_trunc: `open` truncates on O_TRUNC itself. Default False: the kernel
            calls `setattr` with size 0.
        cache_symlinks: Symbolic links never change; the kernel may keep their targets.
            Default False.
        keep_cache: Pages that the kernel has cached stay valid from one `open` to the
            next, where no `open` says otherwise. Default False.
        read_only: Nothing can be modified: mount read-only. Default False; a class
            without any method that modifies something is mounted read-only anyway.
    """

    __fusesg_base__: ClassVar[bool] = True
    """The methods defined by this very class count as absent."""

    readdirplus: bool
    atomic_o_trunc: bool
    cache_symlinks: bool
    keep_cache: bool
    read_only: bool

    # Life cycle

    def init(self) -> MaybeAwaitable[None]:
        """Called once when the mount is there, before any operation.

        An exception ends the mount and is raised by `fusesg.mount`.
        """

    def destroy(self) -> MaybeAwaitable[None]:
        """Called once after the last operation.

        Nobody waits for its result; an exception is logged.
        """

    # Names and attributes

    def lookup(
        self, parent: int, name: str, ctx: Context
    ) -> MaybeAwaitable[Entry | None]:
        """Finds a name in a directory.

        Each entry that is returned counts as one lookup of its inode, given back by
        `forget`: until then the kernel may use the inode number.

        Without it: every name is answered ENOSYS; a file system needs it.

        Returns:
            The entry; None if the name does not exist, which the kernel believes for
            `Config.negative_timeout`.

        Raises:
            FileNotFoundError: The name does not exist, and the kernel asks again next
                time.
        """
        raise _absent("lookup")

    def forget(self, inode: int, count: int) -> MaybeAwaitable[None]:
        """The kernel has dropped `count` lookups of an inode.

        Called from a thread of its own, later and batched; nobody waits for it. Entries
        in listings (`readdirplus`) count, too, if the kernel took them: a class that
        counts lookups itself cannot know that; for a class with `forget`,
        `readdirplus` is off unless it says otherwise.

        Without it: answered in Rust without taking the interpreter lock.

        Args:
            count: How many of the entries returned for it are given back.
        """

    def getattr(
        self, inode: int, handle: Any | None, ctx: Context
    ) -> MaybeAwaitable[Attributes]:
        """Attributes of an inode: stat(2).

        Every file system needs it: without it `fusesg.mount` raises TypeError.

        Args:
            handle: What `open` returned, where the kernel asks through an open file.

        Returns:
            The attributes.
        """
        raise _absent("getattr")

    def setattr(
        self, inode: int, changes: SetAttributes, handle: Any | None, ctx: Context
    ) -> MaybeAwaitable[Attributes]:
        """Changes attributes: chmod, chown, truncate, utimensat.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Args:
            changes: What to change; None leaves a field as it is, and times may be
                `fusesg.NOW`.
            handle: What `open` returned, for ftruncate(2) and its like.

        Returns:
            All attributes after the change.
        """
        raise _absent("setattr")

    def readlink(self, inode: int, ctx: Context) -> MaybeAwaitable[str]:
        """Target of a symbolic link.

        Without it: EINVAL.

        Returns:
            The target, as it was given to `symlink`.
        """
        raise _absent("readlink")

    def access(self, inode: int, mask: int, ctx: Context) -> MaybeAwaitable[None]:
        """Checks access: access(2), chdir(2).

        Asked only with `Config.default_permissions` off; the kernel decides otherwise.

        Without it: everything is allowed, and the kernel stops asking.

        Args:
            mask: `os.R_OK`, `os.W_OK` and `os.X_OK`, or 0 for existence.

        Raises:
            PermissionError: Access is denied.
        """
        raise _absent("access")

    # Creating, removing, renaming

    def mknod(
        self, parent: int, name: str, mode: int, rdev: int, ctx: Context
    ) -> MaybeAwaitable[Entry]:
        """Creates a file, FIFO, socket or device.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Args:
            mode: Type and permissions, with the umask applied.
            rdev: Device number (`os.makedev`) where the type is a device.

        Returns:
            The new entry; counts as a lookup.

        Raises:
            FileExistsError: The name exists.
        """
        raise _absent("mknod")

    def mkdir(
        self, parent: int, name: str, mode: int, ctx: Context
    ) -> MaybeAwaitable[Entry]:
        """Creates a directory.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Args:
            mode: Permissions, with the umask applied.

        Returns:
            The new entry; counts as a lookup.

        Raises:
            FileExistsError: The name exists.
        """
        raise _absent("mkdir")

    def symlink(
        self, parent: int, name: str, target: str, ctx: Context
    ) -> MaybeAwaitable[Entry]:
        """Creates a symbolic link.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Args:
            target: Where it leads; need not exist.

        Returns:
            The new entry; counts as a lookup.

        Raises:
            FileExistsError: The name exists.
        """
        raise _absent("symlink")

    def link(
        self, inode: int, new_parent: int, new_name: str, ctx: Context
    ) -> MaybeAwaitable[Entry]:
        """Creates a hard link.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Args:
            new_parent: The directory of the new name.
            new_name: The new name.

        Returns:
            The new entry, of the same inode; counts as a lookup.

        Raises:
            FileExistsError: The new name exists.
        """
        raise _absent("link")

    def unlink(self, parent: int, name: str, ctx: Context) -> MaybeAwaitable[None]:
        """Removes a name that is not a directory.

        The inode stays usable as long as it is open or looked up: see `forget`.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Raises:
            FileNotFoundError: The name does not exist.
        """
        raise _absent("unlink")

    def rmdir(self, parent: int, name: str, ctx: Context) -> MaybeAwaitable[None]:
        """Removes an empty directory.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Raises:
            OSError: ENOTEMPTY, the directory has entries.
        """
        raise _absent("rmdir")

    def rename(
        self,
        parent: int,
        name: str,
        new_parent: int,
        new_name: str,
        flags: int,
        ctx: Context,
    ) -> MaybeAwaitable[None]:
        """Renames or moves; an existing target is replaced.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Args:
            parent: The directory of the old name.
            name: The old name.
            new_parent: The directory of the new name.
            new_name: The new name.
            flags: 0, `fusesg.RENAME_NOREPLACE` or `fusesg.RENAME_EXCHANGE`.

        Raises:
            FileExistsError: The target exists, with RENAME_NOREPLACE.
            OSError: EINVAL for a flag that is not supported, ENOTEMPTY.
        """
        raise _absent("rename")

    # Files

    def open(self, inode: int, flags: int, ctx: Context) -> Any:
        """Opens a file.

        Without it: succeeds; the handle is None.

        Args:
            flags: `os.O_RDONLY` and its like, fit for an `os.open` of a file of the
                class's own. O_CREAT, O_EXCL and O_NOCTTY never come, O_TRUNC only if
                the class sets `atomic_o_trunc`. O_DIRECT and O_NOFOLLOW are left out;
                with `Config.writeback_cache` O_APPEND as well, and O_RDWR comes for
                O_WRONLY. `ctx.open_flags` has what the caller asked for.

        Returns:
            The handle: any object, which `read`, `write`, `release` and others get
            back; or `Opened(handle, ...)` to say how the kernel shall treat it.

            A `BackingHandle`, `SegmentHandle` or `BytesHandle` carries out reads,
            writes, seeks and syncs by itself, without Python. (For writes the mount
            must not be read-only: a class with no method that modifies something sets
            `read_only` to False.)
        """
        raise _absent("open")

    def create(
        self, parent: int, name: str, mode: int, flags: int, ctx: Context
    ) -> MaybeAwaitable[tuple[Entry, Any]]:
        """Creates and opens a file.

        Without it: the kernel uses `mknod` and `open`; EPERM or EROFS without those.

        Args:
            mode: Type and permissions, with the umask applied.
            flags: As for `open`, with O_CREAT, and O_EXCL and O_TRUNC as the caller has
                them.

        Returns:
            The new entry, which counts as a lookup, and what `open` would return.

        Raises:
            FileExistsError: The name exists and flags have O_EXCL.
        """
        raise _absent("create")

    def read(
        self, inode: int, handle: Any, offset: int, size: int, ctx: Context
    ) -> MaybeAwaitable[Answer]:
        """Reads from a file.

        What is returned is a plan: Rust fetches the bytes of extents after the
        interpreter lock is released, and no byte of them enters Python.

        Without it: ENOSYS.

        Args:
            offset: First byte.
            size: Most bytes to return.

        Returns:
            A bytes-like object, a segment, a `SegmentList`, a `Pipe`, a `Socket`, a
            `Fetch` or a list of these, of at most `size` bytes; fewer mean end of file.
        """
        raise _absent("read")

    def write(
        self, inode: int, handle: Any, offset: int, data: memoryview, ctx: Context
    ) -> MaybeAwaitable[int]:
        """Writes to a file.

        Without it: EPERM, or EROFS if no method of the class modifies anything.

        Args:
            offset: Where in the file the first byte goes.
            data: The bytes, read-only. A view that is kept stays valid, and keeps one
                of the mount's buffers from being used again.

        Returns:
            How many bytes were taken, from the first on.

        Raises:
            OSError: ENOSPC, EFBIG, EDQUOT.
        """
        raise _absent("write")

    def write_plan(
        self, inode: int, handle: Any, offset: int, size: int, ctx: Context
    ) -> MaybeAwaitable[Data]:
        """Says where the bytes of a write go; in place of `write`.

        Rust writes them there, without the interpreter lock.

        Without it: `write` is called.

        Args:
            offset: Where in the file the first byte goes.
            size: How many bytes there are.

        Returns:
            Extents of writable backings, in order; fewer bytes than `size` are a short
            write.

        Raises:
            OSError: ENOSPC, EFBIG, EDQUOT.
        """
        raise _absent("write_plan")

    def flush(self, inode: int, handle: Any, ctx: Context) -> MaybeAwaitable[None]:
        """A descriptor of an open file was closed.

        Called once for each close(2), so more than once for a handle whose descriptor
        was duplicated or inherited. The error is what close(2) returns.

        Without it: succeeds, and the kernel stops asking.
        """

    def release(self, inode: int, handle: Any, ctx: Context) -> MaybeAwaitable[None]:
        """The last descriptor of an open file was closed.

        Called once for each handle; nobody waits for it. When the mount ends the kernel
        may leave it out, so what must not be lost is brought home in `flush`.

        Without it: the handle is dropped.
        """

    def fsync(
        self, inode: int, handle: Any, datasync: bool, ctx: Context
    ) -> MaybeAwaitable[None]:
        """Brings a file to stable storage.

        Without it: succeeds, and the kernel stops asking.

        Args:
            datasync: Only the data, and what is needed to read it: fdatasync(2).
        """
        raise _absent("fsync")

    def fallocate(
        self, inode: int, handle: Any, offset: int, length: int, mode: int, ctx: Context
    ) -> MaybeAwaitable[None]:
        """Allocates, frees or zeroes a range: fallocate(2).

        Without it: EOPNOTSUPP, and the kernel stops asking.

        Args:
            offset: First byte.
            length: How many bytes.
            mode: `FALLOC_FL_` flags of linux/falloc.h.

        Raises:
            OSError: EOPNOTSUPP for a mode that is not supported.
        """
        raise _absent("fallocate")

    def lseek(
        self, inode: int, handle: Any, offset: int, whence: int, ctx: Context
    ) -> MaybeAwaitable[int]:
        """Finds data or a hole.

        Without it: the whole file is data, and the kernel stops asking.

        Args:
            offset: First byte to look at.
            whence: `os.SEEK_DATA` or `os.SEEK_HOLE`; the others never come.

        Returns:
            The offset found.

        Raises:
            OSError: ENXIO, nothing of that kind from `offset` on.
        """
        raise _absent("lseek")

    def copy_file_range(
        self,
        in_inode: int,
        in_handle: Any,
        in_offset: int,
        out_inode: int,
        out_handle: Any,
        out_offset: int,
        length: int,
        flags: int,
        ctx: Context,
    ) -> MaybeAwaitable[int]:
        """Copies between two files of this mount: copy_file_range(2).

        Without it: the kernel reads and writes instead.

        Args:
            in_inode: The source.
            in_handle: The source's handle.
            in_offset: First byte in the source.
            out_inode: The target.
            out_handle: The target's handle.
            out_offset: Where in the target the first byte goes.
            length: How many bytes.
            flags: 0; none are defined.

        Returns:
            How many bytes were copied; 0 is end of file.
        """
        raise _absent("copy_file_range")

    def bmap(
        self, inode: int, blocksize: int, index: int, ctx: Context
    ) -> MaybeAwaitable[int]:
        """Block of a device behind a block of a file.

        Asked only of file systems on a block device.

        Without it: FIBMAP fails, and the kernel stops asking.

        Args:
            blocksize: Size of a block in bytes.
            index: Number of the block in the file.

        Returns:
            Number of the block on the device.
        """
        raise _absent("bmap")

    def ioctl(
        self,
        inode: int,
        handle: Any,
        command: int,
        data: bytes,
        out_size: int,
        ctx: Context,
    ) -> MaybeAwaitable[bytes | tuple[int, bytes]]:
        """A restricted ioctl(2): sizes are those encoded in the command.

        Without it: ENOTTY.

        Args:
            command: The number of the ioctl.
            data: What the caller sends.
            out_size: Most bytes the caller takes back.

        Returns:
            The data for the caller, or the result of ioctl(2) and the data.
        """
        raise _absent("ioctl")

    def poll(
        self,
        inode: int,
        handle: Any,
        events: int,
        waiter: PollWaiter | None,
        ctx: Context,
    ) -> MaybeAwaitable[int]:
        """Which of some events are ready: poll(2), select(2), epoll(7).

        Without it: always ready, and the kernel stops asking.

        Args:
            events: `select.POLLIN` and its like.
            waiter: Where not None: keep it, and call its `notify()` from anywhere when
                readiness changes. Keep it first and look then, or under one lock: a
                change in between would wake nobody. A set has one for each open file.

        Returns:
            The events that are ready now.
        """
        raise _absent("poll")

    # Directories

    def opendir(self, inode: int, flags: int, ctx: Context) -> Any:
        """Opens a directory.

        Without it: succeeds; the handle is None.

        Args:
            flags: As for `open`.

        Returns:
            The handle, or `Opened(handle, cache_directory=True)` to let the kernel keep
            the listing.
        """
        raise _absent("opendir")

    def readdir(
        self, inode: int, handle: Any, offset: int, ctx: Context
    ) -> Listing[DirectoryEntry]:
        """Lists a directory.

        Without `next_offset` in its entries it is called once for each open directory,
        with offset 0, and the answer is kept until the directory is closed; that must
        not be more than 4 million entries. With `next_offset` it is called for each
        part of the listing, and may return a generator: what does not fit is not asked
        of it. It then has to go on after `offset`; one that begins again at the first
        entry is answered EIO.

        Without it: ENOSYS.

        Args:
            offset: 0, or the `next_offset` after which to go on.

        Returns:
            Entries. "." and ".." are added if they are missing, unless there are
            positions.
        """
        raise _absent("readdir")

    def releasedir(self, inode: int, handle: Any, ctx: Context) -> MaybeAwaitable[None]:
        """The last descriptor of an open directory was closed.

        Called once for each handle; nobody waits for it.

        Without it: the handle is dropped.
        """

    def fsyncdir(
        self, inode: int, handle: Any, datasync: bool, ctx: Context
    ) -> MaybeAwaitable[None]:
        """Brings a directory to stable storage.

        Without it: succeeds, and the kernel stops asking.

        Args:
            datasync: Only the entries.
        """
        raise _absent("fsyncdir")

    # The file system

    def statfs(self, inode: int, ctx: Context) -> MaybeAwaitable[FilesystemStatistics]:
        """Sizes of the file system: statvfs(3), df(1).

        Without it: sane numbers, nothing counted.

        Returns:
            The sizes.
        """
        raise _absent("statfs")

    # Extended attributes

    def getxattr(self, inode: int, name: str, ctx: Context) -> MaybeAwaitable[bytes]:
        """Value of an extended attribute.

        Queries for the size, and ERANGE, are answered by the core.

        Without it: EOPNOTSUPP, and the kernel stops asking.

        Args:
            name: The name with its namespace, such as "user.comment".

        Returns:
            The value.

        Raises:
            OSError: ENODATA, there is no such attribute.
        """
        raise _absent("getxattr")

    def setxattr(
        self, inode: int, name: str, value: bytes, flags: int, ctx: Context
    ) -> MaybeAwaitable[None]:
        """Sets an extended attribute.

        Not asked for POSIX ACLs (`system.posix_acl_access`), which are EOPNOTSUPP.

        Without it: EOPNOTSUPP, and the kernel stops asking.

        Args:
            name: The name with its namespace.
            value: The value.
            flags: 0, `os.XATTR_CREATE` or `os.XATTR_REPLACE`.

        Raises:
            FileExistsError: It exists, with XATTR_CREATE.
            OSError: ENODATA, it does not exist, with XATTR_REPLACE.
        """
        raise _absent("setxattr")

    def listxattr(self, inode: int, ctx: Context) -> Listing[str]:
        """Names of the extended attributes.

        Without it: EOPNOTSUPP, and the kernel stops asking.

        Returns:
            The names with their namespaces.
        """
        raise _absent("listxattr")

    def removexattr(self, inode: int, name: str, ctx: Context) -> MaybeAwaitable[None]:
        """Removes an extended attribute.

        Without it: EOPNOTSUPP, and the kernel stops asking.

        Args:
            name: The name with its namespace.

        Raises:
            OSError: ENODATA, there is no such attribute.
        """
        raise _absent("removexattr")

    # Locks

    def getlk(
        self, inode: int, handle: Any, lock: Lock, ctx: Context
    ) -> MaybeAwaitable[Lock]:
        """A lock that would keep `lock` from being set: fcntl(2), F_GETLK.

        Without it: without both `getlk` and `setlk` the kernel keeps POSIX locks
        itself, which is right unless others than this mount's programs share the files.

        Args:
            lock: The lock that is asked about; its owner is `ctx.lock_owner`.

        Returns:
            A lock in the way, or one of type `fcntl.F_UNLCK`.
        """
        raise _absent("getlk")

    def setlk(
        self, inode: int, handle: Any, lock: Lock, wait: bool, ctx: Context
    ) -> MaybeAwaitable[None]:
        """Sets or clears a POSIX lock: fcntl(2), F_SETLK and F_SETLKW.

        It only tries. A program that waits is kept waiting by the core, and it is
        called again for it when a lock of the inode was released, and from time to
        time. It is also called, with `fcntl.F_UNLCK` for the whole file, when an owner
        of locks closes the file. `fusesg.LockTable` does all that it has to.

        Without it: without both `getlk` and `setlk` the kernel keeps POSIX locks
        itself, which is right unless others than this mount's programs share the files.

        Args:
            lock: The lock; its owner is `ctx.lock_owner`.
            wait: Always false.

        Raises:
            BlockingIOError: A lock of another owner is in the way.
        """
        raise _absent("setlk")


def _absent(operation: str) -> OSError:
    """The answer of this base class to an operation called through super()."""
    return OSError(errno.ENOSYS, f"fusesg.Filesystem has no {operation}()")
