"""The program behind `NamesLoad`: makes, finds and removes names, and times it.

It is started by its path and imports nothing of fusesg. Each line of its input is a
request in JSON, answered by a line of JSON:

- `{"work": W, "directory": D, "count": N}`: `{"seconds": S}` for each of the names
- `{"tree": D}`: `{"tree": {NAME: WHAT}}`, all that is below the directory
- `{"remove": D}`: `{}`, when the directory and all that is in it are gone

An error is answered by `{"error": TEXT}`. The end of the input ends the program.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import stat
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTENT = b"some bytes, which are in every file"
_PIECE = 1 << 20
_LISTINGS = 10


def names(count: int) -> list[str]:
    """What files are called."""
    return [f"a-name-of-some-length-{number:06}" for number in range(count)]


def make_names(work: str, directory: str, count: int) -> None:
    """Makes what a work will find, in an empty directory behind the mount.

    Args:
        work: The work.
        directory: Where.
        count: How many names the work is for.
    """
    if work == "create":
        return
    places = [directory]
    if work in _LISTED:
        places = [os.path.join(directory, f"{i}") for i in range(_LISTINGS)]
        for place in places:
            os.mkdir(place)
    for place in places:
        for name in names(count // len(places)):
            with open(os.path.join(place, name), "xb") as file:
                file.write(CONTENT)


def names_after(work: str, count: int) -> set[str]:
    """What must be there when a work has been done."""
    match work:
        case "rename":
            return {_renamed(name) for name in names(count)}
        case "unlink":
            return set()
        case "list" | "list-stat":
            return {str(number) for number in range(_LISTINGS)}
        case _:
            return set(names(count))


def _renamed(name: str) -> str:
    return f"{name}-new"


def _create(directory: int, found: list[str]) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    for name in found:
        os.close(os.open(name, flags, 0o644, dir_fd=directory))
    return len(found)


def _stat(directory: int, found: list[str]) -> int:
    return sum(os.stat(name, dir_fd=directory).st_nlink for name in found)


def _read(directory: int, found: list[str]) -> int:
    for name in found:
        fd = os.open(name, os.O_RDONLY, dir_fd=directory)
        content = os.read(fd, len(CONTENT) + 1)
        os.close(fd)
        if content != CONTENT:
            raise ValueError(f"{name}: these are not the bytes of the file")
    return len(found)


def _rename(directory: int, found: list[str]) -> int:
    for name in found:
        os.rename(name, _renamed(name), src_dir_fd=directory, dst_dir_fd=directory)
    return len(found)


def _unlink(directory: int, found: list[str]) -> int:
    for name in found:
        os.unlink(name, dir_fd=directory)
    return len(found)


def _list(directory: int, found: list[str]) -> int:
    del found
    met = 0
    for number in range(_LISTINGS):
        with _opened(directory, str(number)) as fd:
            met += len(os.listdir(fd))
    return met


def _list_stat(directory: int, found: list[str]) -> int:
    del found
    met = 0
    for number in range(_LISTINGS):
        with _opened(directory, str(number)) as fd, os.scandir(fd) as entries:
            met += sum(entry.stat(follow_symlinks=False).st_nlink for entry in entries)
    return met


@contextlib.contextmanager
def _opened(directory: int, name: str) -> Iterator[int]:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


WORKS: dict[str, Callable[[int, list[str]], int]] = {
    "create": _create,
    "stat": _stat,
    "open-read-close": _read,
    "list": _list,
    "list-stat": _list_stat,
    "rename": _rename,
    "unlink": _unlink,
}
"""By name: does it in a directory with the names, returns how many it has met."""

_LISTED = {"list", "list-stat"}


def seconds(work: str, directory: str, count: int) -> float:
    """Does a work and returns the time of each name.

    Raises:
        ValueError: It met another number of names than it should.
    """
    found = names(count)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        started = time.perf_counter()
        met = WORKS[work](fd, found)
        elapsed = time.perf_counter() - started
    finally:
        os.close(fd)
    expected = count // _LISTINGS * _LISTINGS if work in _LISTED else count
    if met != expected:
        raise ValueError(f"{work}: {met} names in place of {expected}")
    return elapsed / met


def tree(directory: str) -> dict[str, str]:
    """All that is below a directory; see `NamesLoad.tree`."""
    found: dict[str, str] = {}

    def fail(error: OSError) -> None:
        raise error

    for place, directories, files in os.walk(directory, onerror=fail):
        for name in directories + files:
            path = os.path.join(place, name)
            found[os.path.relpath(path, directory)] = _what(path)
    return found


def _what(path: str) -> str:
    mode = os.lstat(path).st_mode
    kind = f"{stat.filemode(mode)} {os.lstat(path).st_size}"
    if stat.S_ISLNK(mode):
        return f"{kind} {os.readlink(path)}"
    if not stat.S_ISREG(mode):
        return stat.filemode(
            mode
        )  # how large a directory is, is its file system's affair
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return f"{kind} {digest.hexdigest()}"


def _answer(request: dict[str, Any]) -> dict[str, object]:
    if "tree" in request:
        return {"tree": tree(request["tree"])}
    if "remove" in request:
        shutil.rmtree(request["remove"])
        return {}
    return {"seconds": seconds(**request)}


def main() -> None:
    """Serves requests until there are no more."""
    # Ctrl-C goes to the whole group; this process ends when the one that asks does
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(request)
        except (OSError, ValueError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
