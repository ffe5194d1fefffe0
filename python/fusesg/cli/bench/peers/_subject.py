"""A system that is measured: its server, its clients, and the directory behind it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Self, TypeVar

from fusesg.cli._errors import CommandError
from fusesg.cli._load import Load, NamesLoad, NoAnswerError
from fusesg.cli._load._names_program import make_names, names_after
from fusesg.cli.bench.peers._rows import FILE, BytesRow, NamesRow
from fusesg.cli.bench.peers._server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from fusesg.cli.bench.peers._systems import Installed

_SEED = 5

T = TypeVar("T")


class Failure(Exception):  # noqa: N818 - what failed is not the benchmark
    """Something that a system did wrong.

    Args:
        word: For the table: "crashed", "hung", "wrong data", "error".
        text: What it was.
        is_final: It is not measured any more.
    """

    def __init__(self, word: str, text: str, *, is_final: bool) -> None:
        super().__init__(word, text)
        self.word = word
        self.text = text
        self.is_final = is_final


class Subject:
    """A system with its own copy of the files.

    Args:
        system: What it is.
        directory: An empty directory, for the files and the mount.
        timeout: How many seconds an answer may take.
    """

    def __init__(self, system: Installed, directory: str, timeout: float) -> None:
        self.system = system
        self.version = system.version
        self._directory = directory
        self.source = os.path.join(directory, "source")
        self._mountpoint = os.path.join(directory, "mnt")
        self._timeout = timeout
        self._stack = contextlib.ExitStack()
        self._works = 0

    def start(self) -> None:
        """Mounts.

        Raises:
            Failure: It does not.
        """
        os.mkdir(self._mountpoint)
        self._server = self._stack.enter_context(
            Server(
                self.system,
                self.source,
                self._mountpoint,
                os.path.join(self._directory, "log"),
                self._timeout,
            )
        )
        # which end, and close their files, before the mount does
        self._load = self._stack.enter_context(Load(self._timeout))
        self._names = self._stack.enter_context(NamesLoad(self._timeout))
        try:
            self._server.wait_for_mount()
        except CommandError as error:
            raise self._failure("not mounted", str(error)) from None
        # what it has loaded; what is installed may be several
        if libfuse := self._server.libfuse():
            self.version = f"{self.version}, libfuse {libfuse}".lstrip(", ")

    def stop(self) -> None:
        """Unmounts and waits for the end of the server."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, exception, traceback)

    def place(self, cpus: Iterable[int]) -> None:
        """Lets server and clients run on these CPUs."""
        for pid in (self._server.pid, self._load.pid, self._names.pid):
            with contextlib.suppress(FileNotFoundError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    # it may have ended by now
                    with contextlib.suppress(ProcessLookupError):
                        os.sched_setaffinity(int(thread), cpus)

    def size_of(self, name: str) -> int:
        """Bytes of a file."""
        return os.stat(os.path.join(self.source, name)).st_size

    def seconds(self, row: BytesRow | NamesRow, repetitions: int) -> float:
        """The time of one operation, on average over so many.

        Raises:
            Failure: It did not work.
        """
        if isinstance(row, BytesRow):
            job = row.job(os.path.join(self._mountpoint, FILE))
            return self._attempt(lambda: self._load.seconds(job, repetitions))
        with self._names_for(row.work, repetitions) as name:
            directory = os.path.join(self._mountpoint, name)
            return self._attempt(
                lambda: self._names.seconds(row.work, directory, repetitions)
            )

    def check_tree(self) -> None:
        """Compares all files with those behind.

        Raises:
            Failure: They are not the same, or cannot be read.
        """
        try:
            # by the client: reading may take for ever
            shown = self._attempt(lambda: self._names.tree(self._mountpoint))
            behind = self._attempt(lambda: self._names.tree(self.source))
        except Failure as failure:
            # what cannot be compared is not measured, whatever the reason
            raise self._failure(failure.word, failure.text) from None
        if shown == behind:
            return
        name = next(
            name
            for name in sorted({*shown, *behind})
            if shown.get(name) != behind.get(name)
        )
        raise self._failure(
            "wrong data",
            f"{name} is {shown.get(name, 'not there')}, "
            f"and behind it {behind.get(name, 'not there')}",
        )

    def check_row(self, row: BytesRow | NamesRow, count: int) -> None:
        """Does it once and looks at what has come of it behind the mount.

        Args:
            row: What to do.
            count: With how many names.

        Raises:
            Failure: Something else than what was asked for.
        """
        if isinstance(row, NamesRow):
            self._check_names(row, count)
            return
        job = row.job(os.path.join(self._mountpoint, FILE))
        digest = self._attempt(lambda: self._load.digest(job, 0, _SEED))
        with open(os.path.join(self.source, FILE), "rb") as file:
            behind = hashlib.sha256(file.read(row.size)).hexdigest()
        if digest != behind:
            raise self._failure(
                "wrong data", f"{row.name}: the bytes are not those of the file behind"
            )

    def _check_names(self, row: NamesRow, count: int) -> None:
        with self._names_for(row.work, count) as name:
            directory = os.path.join(self._mountpoint, name)
            self._attempt(lambda: self._names.seconds(row.work, directory, count))
            found = set(os.listdir(os.path.join(self.source, name)))
        if found != names_after(row.work, count):
            raise self._failure(
                "wrong data", f"{row.name}: behind it are {len(found)} other names"
            )

    @contextlib.contextmanager
    def _names_for(self, work: str, count: int) -> Iterator[str]:
        """A directory that the kernel has not seen, with what a work will find.

        It goes through the mount: a server may keep something, even a descriptor, for
        each name that the kernel has not forgotten.
        """
        self._works += 1
        name = f"{work}-{self._works}"
        directory = os.path.join(self.source, name)
        os.mkdir(directory)
        make_names(work, directory, count)
        try:
            yield name
            self._remove(os.path.join(self._mountpoint, name))
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _remove(self, directory: str) -> None:
        try:
            self._attempt(lambda: self._names.remove(directory))
        except Failure as failure:
            if failure.is_final:
                raise
            # removing is not what is measured here

    def _attempt(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except NoAnswerError as error:
            # whatever waits for the server gets an error, also the client
            self._server.abort()
            raise self._failure("hung", str(error)) from None
        except CommandError as error:
            if self._server.ends_now():
                raise self._failure("crashed", self._server.end) from None
            raise Failure("error", str(error), is_final=False) from None

    @staticmethod
    def _failure(word: str, text: str) -> Failure:
        return Failure(word, text, is_final=True)
