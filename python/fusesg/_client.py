"""A file system used without a mount: the kernel's part played in this process."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, overload

from fusesg import _core, _keywords, _logging, _overrides
from fusesg._client_file import ClientFile
from fusesg._client_results import (
    ClientDirEntry,
    ClientDirIterator,
    stat_result,
    statvfs_result,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Buffer

    from fusesg._filesystem import Filesystem
    from fusesg._path_filesystem import PathFilesystem

    StrPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_MISSING: Any = object()

_devices = itertools.count(1)
"""`st_dev` of each client: files of two clients are never the same file."""


class Client:
    r"""Uses a file system as the kernel would for a program, without mounting it.

    ```python
    with fusesg.Client(Hello()) as client:
        assert client.listdir("/") == ["hello"]
        with client.open_file("/hello") as file:
            assert file.read() == b"Hello from Python\n"
    ```

    It needs neither `/dev/fuse` nor any privilege, so it is for tests, and for programs
    that want the files of a file system where there can be no mount. Methods have the
    names, arguments, results and exceptions of the `os` module's functions. Paths begin
    at the file system's root, with or without a slash; an absolute symbolic link is
    followed from there. File descriptors are the client's own: `os.read` knows them as
    little as the client knows those of `os`.

    **Arguments** of methods are those of `os`, too. `path`, `src`, `dst`, `top` and
    `name` are paths as str, bytes or path-like objects (of `symlink`, `src` is the text
    of the link); `fd` is a descriptor of this client. `n`, `length`, `count`, `offset`,
    `pos`, `offset_src` and `offset_dst` are bytes; `how` is `os.SEEK_SET` and its like.
    `data` and `value` are buffers, `buffers` a sequence of them, writable for reads.
    `mode` are permissions as in chmod(2), of which the umask is taken from what is
    created; for `mknod` also the type, for `access` `os.R_OK` and its like, for
    `fallocate` flags of linux/falloc.h. `flags` are those of the system call. `uid` and
    `gid` are numbers, `device` is one of `os.makedev`; `times` are seconds, `ns` are
    nanoseconds since the epoch, of the last access and modification. `attribute` is the
    name of an extended attribute with its namespace. `follow_symlinks`: False means a
    symbolic link itself; `exist_ok`: True allows that the directory exists.

    **Errors** are OSError with the errno of the file system, or of the kernel's part
    that is played here, as one of its subclasses: FileNotFoundError and so on. For a
    descriptor that is not open that is EBADF.

    Requests are the kernel's, in kind and order, and answers are checked as on a mount.
    Other than the kernel, the client caches nothing: each call asks. `read`, `write`,
    `pread` and `pwrite` go through pages of the client's own, as through a page cache;
    the vectored calls go straight from and to the caller's buffers, which share
    requests.

    Callbacks run on the thread that makes the call. All methods may be called from any
    thread, and from the file system's own callbacks. In a child made by fork() they
    fail: the client belongs to the parent.

    Args:
        filesystem: What to use: a `Filesystem`, a `PathFilesystem`, a `Passthrough`, or
            any object with the methods of a `Filesystem`.
        page_size: Bytes of a page of the kernel that is played, a power of two from
            4096 to 65536; buffers and files are cut at its multiples.
        max_pages: Pages of `page_size` bytes that one request may have.
        max_read: Largest READ in bytes; None: what `max_pages` hold.
        max_write: Largest WRITE in bytes; None: what `max_pages` hold.
        packing: "request": as many buffers of a vectored call in a request as fit;
            "segment": each buffer in requests of its own, as Linux did before 3.9.
        asynchronous: Send the requests of one call all at once, carried out by threads
            of the client's, rather than one after another. A write that is short is
            then EIO.
        max_background: Threads for that, and for what is awaited.
        max_requests: Requests that there may be at a time; more wait. Those of
            callbacks that use the client count, too.
        uid: User on whose behalf requests are made; None: this process's.
        gid: The user's group; None: this process's.
        groups: The user's further groups; None: this process's, or none if `uid` is
            given.
        umask: Taken from the mode of all that is created; None: this process's.
        default_permissions: Check modes and owners before the file system is asked.
        read_only: Refuse all that would change something.
        request_timeout: Seconds after which a request fails with ETIMEDOUT; None:
            never.
        slow_request_warning: Seconds after which a request that is not answered is
            logged; None: never.
        close_grace: Seconds that requests under way have when the client is closed.
        trace: Log each operation and its answer.

    Raises:
        OSError: What the file system's `init` raised.
        TypeError: An option has the wrong type, or `filesystem` cannot be used.
        ValueError: An option is out of range.
    """

    @_keywords.checked
    def __init__(
        self,
        filesystem: Filesystem | PathFilesystem | object,
        *,
        page_size: int = 4096,
        max_pages: int = 256,
        max_read: int | None = None,
        max_write: int | None = None,
        packing: Literal["request", "segment"] = "request",
        asynchronous: bool = False,
        max_background: int = 64,
        max_requests: int = 1024,
        uid: int | None = None,
        gid: int | None = None,
        groups: Sequence[int] | None = None,
        umask: int | None = None,
        default_permissions: bool = True,
        read_only: bool = False,
        request_timeout: float | None = None,
        slow_request_warning: float | None = 30.0,
        close_grace: float = 1.0,
        trace: bool = False,
    ) -> None:
        if groups is None and uid is not None:
            groups = ()
        _logging.start()
        _overrides.check(filesystem)
        self._core = _core.Client(
            filesystem,
            {
                "page_size": page_size,
                "max_pages": max_pages,
                "max_read": max_read,
                "max_write": max_write,
                "packing": packing,
                "asynchronous": asynchronous,
                "max_background": max_background,
                "max_requests": max_requests,
                "uid": uid,
                "gid": gid,
                "groups": None if groups is None else list(groups),
                "umask": umask,
                "default_permissions": default_permissions,
                "read_only": read_only,
                "request_timeout": request_timeout,
                "slow_request_warning": slow_request_warning,
                "close_grace": close_grace,
                "trace": trace,
            },
        )
        self._filesystem = filesystem
        self._device = next(_devices)

    # Its life

    @property
    def closed(self) -> bool:
        """Whether the client is closed."""
        return self._core.closed

    def statistics(self) -> dict[str, Any]:
        """What was asked for, how, and what is held.

        Returns:
            A new dict of numbers and dicts: `operations` (count, errors, bytes and
            times by operation), `in_flight`, `given_up` (callbacks that run on after
            their request was answered), `open_files`, `lookups` (not yet given back by
            FORGET), `handles` (of Python), `fetches` (pieces that are fetched), and
            `core`: `requests` (and their pages), `pool` (pages of the client's
            own), `packer`, `copier` (bytes moved, spliced and copied), `completions`
            (I/Os whose requests were sent at once).
        """
        return self._core.statistics()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<fusesg.Client of {type(self._filesystem).__name__} {state}>"

    # Open files

    def open(self, path: StrPath, flags: int = os.O_RDONLY, mode: int = 0o777) -> int:
        """Opens a file or directory; `os.open`.

        Args:
            path: Where it is.
            flags: `os.O_RDONLY` and so on.
            mode: For a file that is created, less the umask.

        Returns:
            A descriptor of this client's.

        Raises:
            OSError: It cannot be opened. ENOTSUP for O_TMPFILE, O_PATH, devices and
                FIFOs.
        """
        return self._core.open(path, flags, mode)

    def create(self, path: StrPath, mode: int = 0o666) -> int:
        """Creates a file, or empties it, and opens it for writing; creat(2)."""
        return self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)

    @overload
    def close(self) -> None: ...
    @overload
    def close(self, fd: int) -> None: ...
    def close(self, fd: int = _MISSING) -> None:
        """Closes a descriptor, as `os.close`; without one, the client itself.

        A descriptor is closed also where this raises: the error is that of FLUSH, and
        tells of data that could not be stored.

        With the client its open files are closed, and the file system's `destroy` is
        called. Requests that are under way may take `close_grace` seconds; then they
        fail with ECONNABORTED. From inside a callback this waits for none of them.
        """
        if fd is _MISSING:
            self._core.close()
        else:
            self._core.close_file(fd)

    def open_file(
        self, path: StrPath, mode: str = "rb", permissions: int = 0o666
    ) -> ClientFile:
        """Opens a file as an unbuffered binary file object, like `open(buffering=0)`.

        Give it to `io.BufferedReader`, `io.BufferedWriter` or `io.TextIOWrapper`, or to
        whatever takes a binary file: `zipfile`, `tarfile`, `json` …

        Args:
            path: Where it is.
            mode: As for `open`; always binary, with or without "b".
            permissions: For a file that is created, less the umask.

        Returns:
            The file object.

        Raises:
            OSError: It cannot be opened.
            ValueError: There is no such mode.
        """
        return ClientFile(self, path, mode, permissions)

    # Bytes

    def read(self, fd: int, n: int) -> bytes:
        """Reads at most `n` bytes at the file's position; `os.read`."""
        return self._core.read(fd, n, None)

    def write(self, fd: int, data: Buffer) -> int:
        """Writes at the file's position; `os.write`."""
        return self._core.write(fd, data, None)

    def pread(self, fd: int, n: int, offset: int) -> bytes:
        """Reads at most `n` bytes at an offset; `os.pread`."""
        return self._core.read(fd, n, offset)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        """Writes at an offset; `os.pwrite`."""
        return self._core.write(fd, data, offset)

    def readv(self, fd: int, buffers: Sequence[Buffer]) -> int:
        """Reads into buffers at the file's position; `os.readv`.

        Raises:
            ValueError: Two buffers overlap.
        """
        return self._core.readv(fd, buffers, None)

    def writev(self, fd: int, buffers: Sequence[Buffer]) -> int:
        """Writes buffers at the file's position; `os.writev`."""
        return self._core.writev(fd, buffers, None)

    def preadv(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        """Reads into buffers at an offset; `os.preadv`.

        Raises:
            ValueError: Two buffers overlap.
        """
        return self._core.readv(fd, buffers, offset)

    def pwritev(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        """Writes buffers at an offset; `os.pwritev`."""
        return self._core.writev(fd, buffers, offset)

    async def apread(self, fd: int, n: int, offset: int) -> bytes:
        """`pread`, awaited: a thread of the client's reads meanwhile.

        When the waiting task is cancelled, a read that has not begun does not begin.
        """
        data: bytes = await self._awaited(self._core.begin_read, fd, n, offset)
        return data

    async def apwrite(self, fd: int, data: Buffer, offset: int) -> int:
        """`pwrite`, awaited; a write that is short raises EIO."""
        return await self.apwritev(fd, [data], offset)

    async def apreadv(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        """`preadv`, awaited; the buffers belong to the read until it is over.

        That goes for a read that was begun and then cancelled, too.
        """
        read: int = await self._awaited(self._core.begin_readv, fd, buffers, offset)
        return read

    async def apwritev(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        """`pwritev`, awaited; a write that is short raises EIO."""
        begin = self._core.begin_writev
        written: int = await self._awaited(begin, fd, buffers, offset)
        return written

    async def _awaited(
        self, begin: Callable[..., _core.PendingIo], *arguments: object
    ) -> Any:  # noqa: ANN401 - what `begin` promises
        import asyncio  # noqa: PLC0415 - slow to import, and there if this is awaited

        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def done(result: object, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        pending = begin(*arguments, loop, done)
        try:
            return await future
        except asyncio.CancelledError:
            pending.cancel()
            raise

    def lseek(self, fd: int, pos: int, how: int) -> int:
        """Moves a file's position; `os.lseek`, with SEEK_DATA and SEEK_HOLE."""
        return self._core.lseek(fd, pos, how)

    def fsync(self, fd: int) -> None:
        """Has a file's or directory's data and attributes stored; `os.fsync`."""
        self._core.fsync(fd, False)

    def fdatasync(self, fd: int) -> None:
        """Has a file's data stored; `os.fdatasync`."""
        self._core.fsync(fd, True)

    def fallocate(self, fd: int, mode: int, offset: int, length: int) -> None:
        """Allocates or removes space of a file; the system call fallocate."""
        self._core.fallocate(fd, mode, offset, length)

    def copy_file_range(
        self,
        src: int,
        dst: int,
        count: int,
        offset_src: int | None = None,
        offset_dst: int | None = None,
    ) -> int:
        """Copies bytes from one file to another; `os.copy_file_range`.

        Where the file system cannot do it, they are read and written.
        """
        start_src = self._position(src) if offset_src is None else offset_src
        start_dst = self._position(dst) if offset_dst is None else offset_dst
        copied = self._core.copy_file_range(src, dst, count, start_src, start_dst)
        if offset_src is None:
            self.lseek(src, start_src + copied, os.SEEK_SET)
        if offset_dst is None:
            self.lseek(dst, start_dst + copied, os.SEEK_SET)
        return copied

    def _position(self, fd: int) -> int:
        return self.lseek(fd, 0, os.SEEK_CUR)

    # Attributes

    def stat(
        self, path: StrPath | int, *, follow_symlinks: bool = True
    ) -> os.stat_result:
        """Attributes of a path or of an open file; `os.stat`."""
        if isinstance(path, int):
            return self.fstat(path)
        return stat_result(self._core.stat(path, follow_symlinks), self._device)

    def lstat(self, path: StrPath) -> os.stat_result:
        """Attributes of a path, itself if it is a symbolic link; `os.lstat`."""
        return self.stat(path, follow_symlinks=False)

    def fstat(self, fd: int) -> os.stat_result:
        """Attributes of an open file; `os.fstat`."""
        return stat_result(self._core.fstat(fd), self._device)

    def exists(self, path: StrPath) -> bool:
        """Whether a path leads to something; `os.path.exists`."""
        try:
            self._core.stat(path, True)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def access(self, path: StrPath, mode: int, *, follow_symlinks: bool = True) -> bool:
        """Whether the client's user may do what `mode` says; `os.access`."""
        try:
            self._core.access(path, mode, follow_symlinks)
        except OSError:
            return False
        return True

    def chmod(
        self, path: StrPath | int, mode: int, *, follow_symlinks: bool = True
    ) -> None:
        """Changes permissions; `os.chmod`."""
        self._set(path, _core.SetAttributes(mode=mode), follow_symlinks)

    def chown(
        self, path: StrPath | int, uid: int, gid: int, *, follow_symlinks: bool = True
    ) -> None:
        """Changes owner and group; -1 leaves one as it is; `os.chown`."""
        changes = _core.SetAttributes(
            uid=None if uid == -1 else uid, gid=None if gid == -1 else gid
        )
        self._set(path, changes, follow_symlinks)

    def utime(
        self,
        path: StrPath | int,
        times: tuple[float, float] | None = None,
        *,
        ns: tuple[int, int] | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        """Sets the times of last access and modification; `os.utime`.

        Raises:
            ValueError: Both `times` and `ns` are given.
        """
        if times is not None and ns is not None:
            raise ValueError("utime: give either times or ns, not both")
        if ns is not None:
            changes = _core.SetAttributes(atime_ns=ns[0], mtime_ns=ns[1])
        elif times is not None:
            atime, mtime = (round(time * 1_000_000_000) for time in times)
            changes = _core.SetAttributes(atime_ns=atime, mtime_ns=mtime)
        else:
            changes = _core.SetAttributes(atime_ns=_core.NOW, mtime_ns=_core.NOW)
        self._set(path, changes, follow_symlinks)

    def truncate(self, path: StrPath | int, length: int) -> None:
        """Sets the length of a file; `os.truncate`.

        Raises:
            OSError: EINVAL for a length that no file can have, and so on.
        """
        self._set(path, _size(length), follow_symlinks=True)

    def ftruncate(self, fd: int, length: int) -> None:
        """Sets the length of an open file; `os.ftruncate`."""
        self._core.fsetattr(fd, _size(length))

    def _set(
        self,
        path: StrPath | int,
        changes: _core.SetAttributes,
        follow_symlinks: bool,
    ) -> None:
        if isinstance(path, int):
            self._core.fsetattr(path, changes)
        else:
            self._core.setattr(path, changes, follow_symlinks)

    def statvfs(self, path: StrPath | int) -> os.statvfs_result:
        """Size and use of the file system; `os.statvfs`."""
        if isinstance(path, int):
            return statvfs_result(self._core.fstatvfs(path))
        return statvfs_result(self._core.statvfs(path))

    # Names

    def listdir(self, path: StrPath = "/") -> list[str]:
        """The names in a directory; `os.listdir`."""
        return [name for name, *_ in self._core.list(path)]

    def scandir(self, path: StrPath = "/") -> ClientDirIterator:
        """The entries of a directory; `os.scandir`.

        With READDIRPLUS, where the file system has it: `stat` of an entry then asks for
        nothing.
        """
        directory = os.fsdecode(path)
        entries = [
            ClientDirEntry(self, directory, name, inode, kind, attributes)
            for name, inode, kind, attributes in self._core.list(path)
        ]
        return ClientDirIterator(entries)

    def walk(self, top: StrPath = "/") -> Iterator[tuple[str, list[str], list[str]]]:
        """Directories, their subdirectories and files, from the top down; `os.walk`."""
        path = os.fsdecode(top)
        with self.scandir(path) as iterator:
            entries = list(iterator)
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        files = [entry.name for entry in entries if entry.name not in set(names)]
        yield path, names, files
        for name in names:
            yield from self.walk(os.path.join(path, name))

    def mkdir(self, path: StrPath, mode: int = 0o777) -> None:
        """Makes a directory; `os.mkdir`."""
        self._core.mkdir(path, mode)

    def makedirs(
        self, name: StrPath, mode: int = 0o777, *, exist_ok: bool = False
    ) -> None:
        """Makes a directory and those that lead to it; `os.makedirs`."""
        path = os.fsdecode(name).rstrip("/") or "/"
        parent = os.path.dirname(path)
        if parent and not self.exists(parent):
            self.makedirs(parent, exist_ok=True)
        try:
            self._core.mkdir(path, mode)
        except FileExistsError:
            if not exist_ok or not stat.S_ISDIR(self.stat(path).st_mode):
                raise

    def mknod(self, path: StrPath, mode: int = 0o600, device: int = 0) -> None:
        """Makes a file, FIFO, socket or device; `os.mknod`."""
        major, minor = os.major(device), os.minor(device)
        encoded = (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
        self._core.mknod(path, mode, encoded)

    def unlink(self, path: StrPath) -> None:
        """Removes a name of a file; `os.unlink`."""
        self._core.unlink(path)

    remove = unlink

    def rmdir(self, path: StrPath) -> None:
        """Removes an empty directory; `os.rmdir`."""
        self._core.rmdir(path)

    def rename(self, src: StrPath, dst: StrPath, *, flags: int = 0) -> None:
        """Renames a file or directory; `os.rename`.

        Args:
            src: The old path.
            dst: The new path.
            flags: `fusesg.RENAME_NOREPLACE` or `fusesg.RENAME_EXCHANGE`.
        """
        self._core.rename(src, dst, flags)

    def link(
        self, src: StrPath, dst: StrPath, *, follow_symlinks: bool = False
    ) -> None:
        """Gives a file another name; `os.link`."""
        self._core.link(src, dst, follow_symlinks)

    def symlink(self, src: StrPath, dst: StrPath) -> None:
        """Makes `dst` a symbolic link with the text `src`; `os.symlink`."""
        self._core.symlink(src, dst)

    def readlink(self, path: StrPath) -> str:
        """The text of a symbolic link; `os.readlink`."""
        return self._core.readlink(path)

    # Extended attributes

    def getxattr(
        self, path: StrPath, attribute: StrPath, *, follow_symlinks: bool = True
    ) -> bytes:
        """The value of an extended attribute; `os.getxattr`."""
        return self._core.getxattr(path, attribute, follow_symlinks)

    def setxattr(
        self,
        path: StrPath,
        attribute: StrPath,
        value: Buffer,
        flags: int = 0,
        *,
        follow_symlinks: bool = True,
    ) -> None:
        """Sets an extended attribute; `os.setxattr`."""
        self._core.setxattr(path, attribute, value, flags, follow_symlinks)

    def listxattr(
        self, path: StrPath = "/", *, follow_symlinks: bool = True
    ) -> list[str]:
        """The names of the extended attributes; `os.listxattr`."""
        return self._core.listxattr(path, follow_symlinks)

    def removexattr(
        self, path: StrPath, attribute: StrPath, *, follow_symlinks: bool = True
    ) -> None:
        """Removes an extended attribute; `os.removexattr`."""
        self._core.removexattr(path, attribute, follow_symlinks)


def _size(length: int) -> _core.SetAttributes:
    """A change of the length, with the kernel's answer to one that cannot be."""
    try:
        return _core.SetAttributes(size=length)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error).replace("size=", "length=")) from None
