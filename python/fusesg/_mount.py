"""Mounting a file system, and the mount that comes of it."""

from __future__ import annotations

import errno
import functools
import logging
import os
import sys
import warnings
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Unpack

from fusesg import _core, _logging, _overrides
from fusesg._config import effective
from fusesg._termination import Termination

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator
    from types import TracebackType

    from typing_extensions import Buffer

    from fusesg._config import Config, ConfigOptions
    from fusesg._filesystem import Filesystem
    from fusesg._loop import RunningLoop
    from fusesg._path_filesystem import PathFilesystem

    StrPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

    Mounting: TypeAlias = Callable[..., _core.Mount]
    """Mounts; takes the loop to run in as `running_loop`, or nothing."""


def mount(
    filesystem: Filesystem | PathFilesystem,
    mountpoint: StrPath,
    config: Config | None = None,
    **options: Unpack[ConfigOptions],
) -> Mount:
    """Mounts a file system, which is then served in the background.

    ```python
    with fusesg.mount(Hello(), "/mnt/hello", allow_other=True) as mount:
        print(os.listdir(mount.path))
    ```

    In a coroutine, `async with` mounts without blocking the event loop, and the async
    methods of the file system run in that very loop:

    ```python
    async with fusesg.mount(Remote(session), "/mnt/remote") as mount:
        await mount.wait_async()
    ```

    Otherwise they run in an event loop of the mount's own (`Mount.loop`), in a thread.

    Where an event loop runs, a file system with async methods is mounted only when the
    result is entered, by `async with`, by `await` or by `with` (which uses a loop of
    its own): nobody can know before in which loop its methods are to run.

    Args:
        filesystem: What to serve. One object may serve several mounts.
        mountpoint: An existing directory; what is in it is hidden while mounted. Or a
            file, for a file system whose root (inode 1) is a regular file.
        config: Settings; None is `Config()`.
        **options: Single settings by name, which win over `config`.

    Returns:
        The mount, usable at once. As a context manager it unmounts at the end of the
        block; otherwise it is unmounted by `Mount.unmount` or when the process ends.

    Raises:
        OSError: It could not be mounted; the message says what to do about it.
        TypeError: An option is unknown or has the wrong type, or `filesystem` cannot
            be served: it is no instance, lacks `getattr`, or has a method that does not
            take the arguments it is called with.
        ValueError: An option is out of range.
    """
    mounting = _mounting(filesystem, mountpoint, config, options)
    if _loop_runs() and _core.is_asynchronous(filesystem):
        return Mount(mounting)
    return Mount(mounting, mounting())


def _mounting(
    filesystem: Filesystem | PathFilesystem,
    mountpoint: StrPath,
    config: Config | None,
    options: ConfigOptions,
) -> Mounting:
    config = effective(config, options)
    point = os.fsdecode(mountpoint)
    if not point:
        # abspath would make the working directory of it
        raise FileNotFoundError(
            errno.ENOENT, "the mount point is an empty path; name a directory", point
        )
    path = os.path.abspath(point)
    _logging.start()
    _overrides.check(filesystem)
    return functools.partial(_mounted, filesystem, path, config.settings())


def _mounted(
    filesystem: Filesystem | PathFilesystem,
    path: str,
    settings: dict[str, Any],
    running_loop: RunningLoop | None = None,
) -> _core.Mount:
    core = _core.Mount(filesystem, path, settings, running_loop)
    if core.metrics_address is not None:
        # the settings may say port 0; by the core's thread for its log it might come
        # when a command has gone into the background
        address = core.statistics()["metrics"]
        logging.getLogger("fusesg").info(
            "%s: metrics are at http://%s/metrics", path, address
        )
    return core


def _loop_runs() -> bool:
    # asking does not import asyncio, which takes long
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001


def serve(
    filesystem: Filesystem | PathFilesystem,
    mountpoint: StrPath,
    config: Config | None = None,
    *,
    on_ready: Callable[[Mount], object] | None = None,
    **options: Unpack[ConfigOptions],
) -> None:
    """Mounts a file system and serves it until it is unmounted.

    That is by `fusesg umount` or umount(8), or by SIGINT (Ctrl-C) or SIGTERM, which
    unmount; a second signal aborts the mount if that takes long because files are in
    use. The handlers that were installed before are back when this returns. Outside of
    the main thread signals are left alone.

    Args:
        filesystem: What to serve.
        mountpoint: As for `mount`.
        config: Settings; None is `Config()`.
        on_ready: Called with the mount as soon as it is usable.
        **options: Single settings by name, which win over `config`.

    Raises:
        OSError: It could not be mounted, and the message says what to do about it; or
            it is unmounted, but a callback does not return.
        TypeError: An option is unknown or has the wrong type, or `filesystem` cannot
            be served.
        ValueError: An option is out of range.
    """
    # the handlers come first: a signal that arrives while mounting must not end the
    # process between mount(2) and the first line that could undo it
    with Termination() as termination:
        mounted = mount(filesystem, mountpoint, config, **options)
        try:
            termination.ends(mounted)
            if on_ready:
                on_ready(mounted)
            termination.wait(mounted)
        finally:
            if not termination.has_unmounted:
                mounted.unmount()


async def serve_async(
    filesystem: Filesystem | PathFilesystem,
    mountpoint: StrPath,
    config: Config | None = None,
    *,
    on_ready: Callable[[Mount], object] | None = None,
    **options: Unpack[ConfigOptions],
) -> None:
    """Mounts a file system and serves it in the running loop until it is unmounted.

    That is by `fusesg umount` or umount(8); by SIGTERM, if nothing else handles it; or
    by cancelling the task that awaits this, as `asyncio.run` does upon SIGINT (Ctrl-C).
    However it ends, the file system is unmounted when this returns or raises.

    Args:
        filesystem: What to serve. Its async methods run in this loop.
        mountpoint: As for `mount`.
        config: Settings; None is `Config()`.
        on_ready: Called with the mount as soon as it is usable; awaited, if it returns
            an awaitable.
        **options: Single settings by name, which win over `config`.

    Raises:
        OSError: It could not be mounted, and the message says what to do about it; or
            it is unmounted, but a callback does not return.
        TypeError: An option is unknown or has the wrong type, or `filesystem` cannot
            be served.
        ValueError: An option is out of range.
    """
    import asyncio  # noqa: PLC0415 - slow to import

    from fusesg._loop import sigterm  # noqa: PLC0415 - likewise

    mounting = _mounting(filesystem, mountpoint, config, options)
    with sigterm() as terminated:
        async with Mount(mounting) as mounted:
            if on_ready:
                result = on_ready(mounted)
                if isinstance(result, Awaitable):
                    await result
            ended = asyncio.ensure_future(mounted.wait_async())
            either: list[asyncio.Future[Any]] = [ended, terminated]
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended.cancel()


class Mount:
    """A mounted file system; made by `mount`.

    Its methods may be called from any thread. In a child made by fork() they do
    nothing: the mount belongs to the parent.
    """

    def __init__(self, mounting: Mounting, core: _core.Mount | None = None) -> None:
        self._mounting: Mounting | None = mounting if core is None else None
        self._mounted = core

    @property
    def _core(self) -> _core.Mount:
        if self._mounted is None:
            raise RuntimeError(
                "nothing is mounted yet: in a running event loop, a file system with "
                "async methods is mounted by `async with fusesg.mount(...)`, by `await "
                "fusesg.mount(...)`, or by `with` in a loop of its own"
            )
        return self._mounted

    @property
    def path(self) -> str:
        """Where it is mounted, absolute."""
        return self._core.path

    @property
    def is_alive(self) -> bool:
        """Whether it is mounted and served."""
        return self._core.is_alive

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop in which async methods run.

        The loop that ran when `async with` mounted it; else one of the mount's own, in
        a thread, which this starts if nothing has needed it yet. From another thread it
        is used through `asyncio.run_coroutine_threadsafe`. It ends with the mount.

        Raises:
            RuntimeError: It has ended.
        """
        return self._core.loop

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is unmounted, by whomever.

        Args:
            timeout: How many seconds to wait at most; None is for ever.

        Returns:
            Whether it is unmounted.
        """
        return self._core.wait(timeout)

    async def wait_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Waits as `wait` does, without blocking the event loop.

        Args:
            timeout: How many seconds to wait at most; None is for ever.

        Returns:
            Whether it is unmounted.
        """
        from fusesg._loop import in_thread  # noqa: PLC0415 - imports asyncio

        return await in_thread(functools.partial(self._core.wait, timeout))

    def unmount(self) -> None:
        """Unmounts; a mount that is in use is detached, and ends with its last user.

        Waits a bounded time for those who use it, and for callbacks; async ones that
        still run are cancelled. Called in the thread of the event loop in which its
        async methods run it does not wait, since they could not go on meanwhile: there,
        `unmount_async` waits.

        Does nothing if it is unmounted already, or if something else has been mounted
        in its place.

        Raises:
            OSError: It could not be unmounted.
        """
        self._core.unmount()

    async def unmount_async(self) -> None:
        """Unmounts as `unmount` does, without blocking the event loop.

        Cancelled, it unmounts all the same, and then raises `asyncio.CancelledError`.

        Raises:
            OSError: It could not be unmounted.
        """
        from fusesg._loop import in_thread  # noqa: PLC0415 - imports asyncio

        await in_thread(self._core.unmount, to_its_end=True)

    def abort(self) -> None:
        """Ends it at once: every request that waits or comes is answered an error."""
        self._core.abort()

    def statistics(self) -> dict[str, Any]:
        """Counts, bytes and latencies for each operation, and what is in flight.

        The numbers are since the mount was made. `fusesg statistics` and `fusesg top`
        show the same from another process, also while callbacks hang.

        Returns:
            A new dict of plain numbers, texts, dicts and lists: `operations` (by name:
            `count`, `errors`, `bytes`, `latency`; `gil_wait` and `callback` of those
            that go to Python), `in_flight` and the `oldest` of these, `given_up`
            (callbacks that run on after their request was answered), `python`
            (threads, queues), `core` (buffers, pipes, ways of the data) and more; all
            of them are described in docs/guides/observe.md. Times are in seconds, but
            for names that end in `_ns`.
        """
        return self._core.statistics()

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port at which Prometheus may ask, as `Config.metrics` says."""
        return self._core.metrics_address

    def invalidate_inode(self, inode: int, offset: int = 0, length: int = 0) -> None:
        """Makes the kernel forget attributes and a range of cached data.

        Called with the inode alone it is what to do when a file has changed: the kernel
        asks again for size, times and content, also for who has it open or mapped; when
        a directory has changed, for its attributes and its listing.

        This and the other notifications go out in the order of their calls, from a
        thread of their own: they return at once, and may be called from any thread, in
        callbacks and coroutines too. What the kernel does not know is ignored, and so
        is all of them once the mount has ended, and in a forked child. There are
        examples in the guide "Follow changes".

        Args:
            inode: The inode.
            offset: First byte to forget; negative: attributes only.
            length: How many bytes; 0 is up to the end.
        """
        self._core.invalidate_inode(inode, offset, length)

    def invalidate_entry(
        self,
        parent: int,
        name: str,
        deleted: bool = False,
        *,
        inode: int | None = None,
    ) -> None:
        """Makes the kernel forget a name: it is new, gone, or another file's now.

        The kernel asks again for the name, also if it was told before that there is no
        such name, and for the attributes and the listing of the directory.

        Args:
            parent: Inode of the directory.
            name: The name.
            deleted: The name was deleted: who watches the file with inotify(7) is told
                (IN_DELETE_SELF), and a directory that somebody is in is dead.
            inode: With `deleted`: the inode that the name had. None is the one that the
                kernel was told last; of very many names the oldest may not be known any
                more, and nobody is then told.
        """
        self._core.invalidate_entry(parent, name, deleted, inode)

    def store(self, inode: int, offset: int, data: Buffer) -> None:
        """Puts data into the kernel's cache, so that reading it asks nobody.

        The data is copied. If it ends behind the end that the kernel knows, the file
        becomes longer, and `getattr` is asked and must say so too. Pages that are not
        filled by it up to their end, or that of the file, are read nevertheless. It
        lasts as long as cached data does: until the file is opened without
        `keep_cache`, or `getattr` tells of another size or modification time.

        Args:
            inode: The inode; one that the kernel does not know is ignored.
            offset: Where in the file the first byte goes.
            data: The bytes.
        """
        self._core.store(inode, offset, data)

    def flush_notifications(self, timeout: float | None = None) -> bool:
        """Waits until the kernel has carried out what it was told before.

        Not for callbacks: the kernel may have to wait for the end of this very one.

        Args:
            timeout: How many seconds to wait at most; None is for ever.

        Returns:
            Whether it has, or the mount has ended.
        """
        return self._core.flush_notifications(timeout)

    def invalidate_path(
        self, path: StrPath, offset: int = 0, length: int = 0, *, deleted: bool = False
    ) -> None:
        """Makes the kernel ask again about a path: for a `PathFilesystem`.

        Call it when what is at the path has changed, has come or is gone by other ways
        than this mount: attributes and cached data are forgotten as by
        `invalidate_inode`, and the name, whether it was there or not, as by
        `invalidate_entry` (but for that of a directory that is there, which somebody
        may be in). A path that the kernel has not asked about is ignored.

        Args:
            path: The path in the file system, from its root "/".
            offset: First byte to forget; negative: attributes only.
            length: How many bytes; 0 is up to the end.
            deleted: There is nothing at the path any more.

        Raises:
            TypeError: The file system is one of inodes.
            ValueError: The path does not begin with a slash.
        """
        parent, name, inode, is_directory = self._core.locate(path)
        if inode is not None:
            self.invalidate_inode(inode, offset, length)
        if parent is not None and (deleted or not is_directory):
            self.invalidate_entry(parent, name, deleted, inode=inode)

    def store_path(self, path: StrPath, offset: int, data: Buffer) -> None:
        """Puts data into the kernel's cache, as `store`: for a `PathFilesystem`.

        Args:
            path: The path in the file system, from its root "/"; one that the kernel
                has not asked about is ignored.
            offset: Where in the file the first byte goes.
            data: The bytes.

        Raises:
            TypeError: The file system is one of inodes.
            ValueError: The path does not begin with a slash.
        """
        _parent, _name, inode, _is_directory = self._core.locate(path)
        if inode is not None:
            self.store(inode, offset, data)

    def __enter__(self) -> Self:
        if self._mounting is not None:
            self._mounted, self._mounting = self._mounting(), None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unmount()

    async def __aenter__(self) -> Self:
        from fusesg._loop import RunningLoop, in_thread  # noqa: PLC0415 - imports asyncio

        running = RunningLoop()
        if self._mounting is None:
            self._core.run_in(running)
            return self
        mounting = functools.partial(self._mounting, running_loop=running)
        self._mounting = None
        self._mounted = await in_thread(
            mounting, on_cancel=running.cancel, undo=_core.Mount.unmount
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.unmount_async()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    def __del__(self) -> None:
        if self._mounting is not None:
            warnings.warn(
                "fusesg.mount() was neither entered nor awaited: nothing was mounted",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )

    def __repr__(self) -> str:
        if self._mounted is None:
            return "<fusesg.Mount, not mounted yet>"
        state = "mounted" if self.is_alive else "unmounted"
        return f"<fusesg.Mount {self.path!r} {state}>"
