"""Names and attributes in a directory that grows: seconds per operation.

`files` is how many there are in the directory. `native` is `fusesg.Passthrough` on
files in memory, `callback` a class of Python methods. The kernel caches neither names
nor attributes, so that each operation is at least one request. Client and server share
one CPU.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from benchmarks import _mounted, _sampling
from benchmarks._settings import EFFORT, VERSION, on_one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = [1000, 10_000, 100_000]

_OPERATIONS = {"full": 1000, "pair": 500, "quick": 10}[EFFORT]
"""How many of an operation make a round."""

_numbers = itertools.count()
"""For names that nothing has had before."""


def _path(mounted: _mounted.Mounted, number: int) -> str:
    return f"{mounted.path}/a-name-of-some-length-{number:06}"


class Directory:
    """One directory with that many files."""

    param_names = ("kind", "files")
    params = (["native", "callback"], FILES)
    unit = "seconds"
    version = VERSION
    timeout = 180

    def track_create(self, kind: str, files: int) -> object:
        """Create a file and close it."""

        def after(paths: list[str]) -> None:
            for path in paths:
                os.unlink(path)

        return self._each(
            kind, files, _create, new=True, prepare=lambda _: None, after=after
        )

    def track_unlink(self, kind: str, files: int) -> object:
        """Unlink a file."""
        return self._each(kind, files, os.unlink, new=True, prepare=_create_all)

    def track_rename(self, kind: str, files: int) -> object:
        """Rename a file to a new name in the same directory."""

        def after(paths: list[str]) -> None:
            for path in paths:
                os.unlink(f"{path}.new")

        return self._each(
            kind,
            files,
            lambda path: os.rename(path, f"{path}.new"),
            new=True,
            prepare=_create_all,
            after=after,
        )

    def track_stat(self, kind: str, files: int) -> object:
        """Look up a file and see its attributes."""
        return self._each(kind, files, os.stat)

    def track_open_read_close(self, kind: str, files: int) -> object:
        """Open a file, read it, which is empty, and close it."""

        def action(path: str) -> None:
            fd = os.open(path, os.O_RDONLY)
            os.read(fd, 1)
            os.close(fd)

        return self._each(kind, files, action)

    def track_readdir(self, kind: str, files: int) -> object:
        """List all names, with nothing else; the time of one name."""
        with on_one_cpu():
            mounted = _directory(kind, files)
            return _sampling.repeated(
                lambda: _sampling.seconds(lambda: os.listdir(mounted.path), 1) / files
            )

    def _each(
        self,
        kind: str,
        files: int,
        action: Callable[[str], object],
        *,
        new: bool = False,
        prepare: Callable[[list[str]], object] = lambda _: None,
        after: Callable[[list[str]], object] = lambda _: None,
    ) -> object:
        """Does it to some of the files there are, or to new ones."""
        with on_one_cpu():
            mounted = _directory(kind, files)

            def measure() -> float:
                if new:
                    paths = [
                        f"{mounted.path}/new-{next(_numbers):09}"
                        for _ in range(_OPERATIONS)
                    ]
                else:
                    # all over the directory, and never the same twice in a row
                    step = max(1, files // _OPERATIONS)
                    paths = [_path(mounted, n) for n in range(0, files, step)]
                    paths = paths[:_OPERATIONS]
                prepare(paths)
                left = iter(paths)
                spent = _sampling.seconds(lambda: action(next(left)), len(paths))
                after(paths)
                return spent

            return _sampling.repeated(measure)


def _directory(kind: str, files: int) -> _mounted.Mounted:
    return _mounted.kept(
        kind,
        files=files,
        one_cpu=True,
        entry_timeout=0,
        attribute_timeout=0,
        negative_timeout=0,
        cache_directories=False,
    )


def _create(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def _create_all(paths: list[str]) -> None:
    for path in paths:
        _create(path)
