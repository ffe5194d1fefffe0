"""The process that serves a mount, for a benchmark in another one.

It is told what to serve by an argument in JSON (`Request`). A line in JSON answers:
what is mounted where, or why not. Then each line of its input is a command:

- `resident`: bytes of memory that only this process has
- `statistics`: those of the mount
- `release`: let reads of the kind `waiting` go on

At the end of its input, and when its parent ends, it unmounts and removes its files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._processes import end_with_parent
from benchmarks._settings import CPUS
from benchmarks._workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEBIBYTE = 1 << 20
_WANTED_FILES = 20_000  # descriptors: one for each open file


@dataclass(frozen=True)
class Request:
    """What to serve."""

    kind: str
    parent: int
    """The process that asks for it."""
    size: int | None = None
    """Bytes of the only file, `data`."""
    files: int = 0
    """How many empty files there are, where there is no `data`."""
    one_cpu: bool = False
    """On the CPU of `_settings.on_one_cpu`; else on all."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of `fusesg.Config`."""

    def as_json(self) -> str:
        """For the command line."""
        return json.dumps(dataclasses.asdict(self))


class _Ended(Exception):  # noqa: N818 - it is no error
    """The parent is gone."""


def _end(number: int, frame: object) -> None:
    del number, frame
    # once is enough: cleaning up must not be interrupted
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Ended


def main() -> None:
    """Serves until the input ends."""
    request = Request(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGTERM, _end)
    # Ctrl-C goes to the whole group; this process ends when the one that asks does
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(_Ended, BrokenPipeError):
        end_with_parent(request.parent, signal.SIGTERM)
        if request.one_cpu:
            os.sched_setaffinity(0, {max(CPUS)})
        _serve(request)


def _serve(request: Request) -> None:
    with contextlib.ExitStack() as stack:
        try:
            directory = stack.enter_context(workspace())
            mount, filesystem = stack.enter_context(_mounted(request, directory))
        except _Ended:
            raise
        except (ImportError, AttributeError, TypeError, NotImplementedError) as error:
            # this commit of fusesg does not know what is asked for
            _answer(unsupported=f"{type(error).__name__}: {error}")
            return
        except Exception as error:  # noqa: BLE001 - told to who asked
            _answer(error=f"{type(error).__name__}: {error}")
            return
        _answer(mountpoint=str(directory / "mnt"), source=str(directory / "source"))
        for line in sys.stdin:
            command = line.strip()
            if command == "release":
                filesystem.told.set()
            value = {"resident": resident, "statistics": mount.statistics}.get(command)
            _answer(value=value() if value else None)


@contextlib.contextmanager
def _mounted(request: Request, directory: Path) -> Iterator[tuple[Any, Any]]:
    import fusesg
    from benchmarks import _filesystems

    _raise_limit()
    source, mountpoint = directory / "source", directory / "mnt"
    source.mkdir()
    mountpoint.mkdir()
    if request.size is not None:
        path = source / "data"
        with path.open("wb") as file:
            piece = os.urandom(_MEBIBYTE)
            for start in range(0, request.size, _MEBIBYTE):
                file.write(piece[: request.size - start])
        filesystem = _filesystems.ONE_FILE[request.kind](str(path))
    elif request.kind == "native":
        for name in _filesystems.file_names(request.files):
            (source / name).touch()
        filesystem = fusesg.Passthrough(source)
    else:
        filesystem = _filesystems.Names(_filesystems.file_names(request.files))
    config = fusesg.Config(**request.options)
    with fusesg.mount(filesystem, mountpoint, config) as mount:
        yield mount, filesystem


def _raise_limit() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def resident() -> int:
    """Bytes of this process in memory that are no file's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    match = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _answer(**fields: object) -> None:
    print(json.dumps(fields), flush=True)
