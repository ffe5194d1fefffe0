"""`fusesg mount memory:`: its options, which stand in `-o` as those of tmpfs do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import fusesg
from fusesg.cli._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOURCE = "memory:"

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def load(options: Sequence[str]) -> fusesg.Memory:
    """Makes the file system that the options describe.

    Args:
        options: `size=1g`, `inodes=10k`, `uid=0`, `gid=0`, `mode=1777`.

    Returns:
        An empty file system.

    Raises:
        UsageError: A value is missing or cannot be understood.
    """
    try:
        return fusesg.Memory(**read(options))
    except ValueError as error:
        raise UsageError(f"-o: {error}") from None


def read(options: Sequence[str]) -> dict[str, int]:
    """The arguments of `fusesg.Memory` that the options mean.

    Raises:
        UsageError: A value is missing or cannot be understood.
    """
    values: dict[str, int] = {}
    for option in options:
        name, _, text = option.partition("=")
        values[name] = _READERS[name](option, text)
    return values


def split(options: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tells options of the file system from those of the mount.

    Args:
        options: The values of all `-o`.

    Returns:
        The options of the file system, one by one, and the others.
    """
    every = [each.strip() for text in options for each in re.split(r"(?<!\\),", text)]
    ours = [each for each in every if each.partition("=")[0] in _READERS]
    return ours, [each for each in every if each not in ours]


def _amount(option: str, text: str) -> int:
    found = re.fullmatch(r"(\d+)([kmgt]?)", text.lower())
    if not found:
        raise UsageError(
            f"-o {option}: expected a number, which may end in k, m, g or t"
        )
    return int(found[1]) * _UNITS[found[2]]


def _id(option: str, text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"-o {option}: expected the number of a user or group")
    return int(text)


def _mode(option: str, text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise UsageError(f"-o {option}: expected octal digits as in 755") from None


_READERS: dict[str, Callable[[str, str], int]] = {
    "size": _amount,
    "inodes": _amount,
    "uid": _id,
    "gid": _id,
    "mode": _mode,
}
