"""Looks at the methods of a class before it is served: what can be known to be wrong.

A method that cannot take the arguments it is called with is refused: each of its
operations would be EIO. A method that nothing calls, because its name is misspelled or
that of another library, is warned of: programs would be told that the file system
cannot do what its author has written.

What a class calls its helpers is its own business. So a name counts as a mistake only
while the class lacks the operation that it resembles, and only if the method could be
meant for that.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import logging
from typing import TYPE_CHECKING, NamedTuple

from fusesg._filesystem import Filesystem
from fusesg._path_filesystem import PathFilesystem

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIMILAR = 0.74
"""How much of two names must agree for one to be a slip of the other: "raed"."""


class _Moved(NamedTuple):
    """Where the work of another library's method is done here."""

    operations: tuple[str, ...]
    """A class that has one of these is not told of a helper with the old name."""
    note: str = ""


_TIMES = "the times are changes.atime_ns and changes.mtime_ns"

_ELSEWHERE = {
    # fusepy, mfusepy
    "chmod": _Moved(("setattr",), "the mode is changes.mode"),
    "chown": _Moved(("setattr",), "the owner is changes.uid and changes.gid"),
    "truncate": _Moved(("setattr",), "the size is changes.size"),
    "utimens": _Moved(("setattr",), _TIMES),
    "lock": _Moved(("setlk", "getlk")),
    "flock": _Moved(("setlk", "getlk"), "locks of flock(2) are kept by the kernel"),
    "init_with_config": _Moved(("init",), "settings are those of fusesg.Config"),
    "readdir_with_offset": _Moved(("readdir",)),
    "read_buf": _Moved(("read",), "it may return any buffer, or a plan"),
    "write_buf": _Moved(("write_plan", "write")),
    # python-fuse
    "fgetattr": _Moved(("getattr",), "the handle is that of an open file, or None"),
    "ftruncate": _Moved(("setattr",), "the size is changes.size"),
    "fsdestroy": _Moved(("destroy",)),
    "fsinit": _Moved(("init",)),
    "getdir": _Moved(("readdir",)),
    "utime": _Moved(("setattr",), _TIMES),
}
"""Methods of other libraries that have another name here."""

_NOT_BY_PATH = {
    "lookup": "in a file system of paths getattr answers lookups",
    "forget": "in a file system of paths the core counts lookups",
}
"""What a class with paths is never asked."""


def check(filesystem: object) -> None:
    """Refuses methods that cannot be called, and warns of those that nothing calls.

    Raises:
        TypeError: A method does not take the arguments of its operation.
    """
    # a class instead of an instance is refused elsewhere, with a word on that
    if isinstance(filesystem, type):
        return
    by_path = getattr(filesystem, "__fusesg_paths__", False) is True
    operations = _operations(PathFilesystem if by_path else Filesystem)
    defined = dict(_defined(filesystem))
    for name in filter(defined.__contains__, operations):
        _check_parameters(filesystem, defined[name], name, operations[name])
    for name in sorted(defined.keys() - operations.keys()):
        if by_path and name in _NOT_BY_PATH:
            hint = _NOT_BY_PATH[name]
        else:
            hint = _misnamed(filesystem, name, operations, defined) or ""
        if hint:
            _warn(f"{defined[name]}.{name} is never called by fusesg: {hint}")


@functools.cache
def _operations(base: type) -> dict[str, inspect.Signature]:
    """What a class may define, and how it is called."""
    return {
        name: _without_types(inspect.signature(method), skip=1)
        for name, method in vars(base).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }


def _defined(filesystem: object) -> Iterator[tuple[str, str]]:
    """The public names that the object has from elsewhere than from fusesg.

    Each with the class that has it. The core finds out the same way what a class
    implements.
    """
    kind = type(filesystem)
    seen = set(getattr(filesystem, "__dict__", ()))
    yield from ((name, kind.__name__) for name in seen if not name.startswith("_"))
    for each in kind.__mro__:
        names = vars(each).keys() - seen
        seen |= names
        if each is not object and not vars(each).get("__fusesg_base__"):
            public = (name for name in names if not name.startswith("_"))
            yield from ((name, each.__name__) for name in public)


def _warn(message: str) -> None:
    logging.getLogger("fusesg").warning("%s", message)


# Methods that are called


def _check_parameters(
    filesystem: object, owner: str, name: str, expected: inspect.Signature
) -> None:
    given = _signature(getattr(filesystem, name))
    if given is None:
        return
    if not _takes(given, expected):
        raise TypeError(
            f"{owner}.{name}{given} does not take what it is called with: "
            f"{name}{expected}"
        )
    # some may have names of their own, as `fh` for our `handle` in what was ported
    wanted = {each: place for place, each in enumerate(expected.parameters)}
    if any(
        wanted.get(each, place) != place for place, each in enumerate(given.parameters)
    ):
        _warn(f"{owner}.{name}{given} is called in another order: {name}{expected}")


def _signature(method: object) -> inspect.Signature | None:
    """How a method can be called; None where that is not certain."""
    # __signature__ is what somebody wants to be shown, not what can be called
    if not callable(method) or hasattr(method, "__signature__"):
        return None
    try:
        # of a decorator's wrapper itself, which may add and drop arguments
        return _without_types(inspect.signature(method, follow_wrapped=False))
    except (TypeError, ValueError):
        return None


def _without_types(signature: inspect.Signature, skip: int = 0) -> inspect.Signature:
    empty = inspect.Parameter.empty
    parameters = list(signature.parameters.values())[skip:]
    return inspect.Signature([each.replace(annotation=empty) for each in parameters])


def _takes(given: inspect.Signature, expected: inspect.Signature) -> bool:
    try:
        given.bind(*expected.parameters)
    except TypeError:
        return False
    return True


# Methods that are not


def _misnamed(
    filesystem: object,
    name: str,
    operations: dict[str, inspect.Signature],
    defined: dict[str, str],
) -> str | None:
    """Which operation a method was meant to be; None: it may well be a helper."""
    # looked at without running code of the class, as that of a property
    method = inspect.getattr_static(filesystem, name)
    if not callable(getattr(method, "__func__", method)) or isinstance(method, type):
        return None
    if moved := _ELSEWHERE.get(name):
        if defined.keys() & moved.operations:
            return None
        first = moved.operations[0]
        note = f" ({moved.note})" if moved.note else ""
        return f"override {first}{operations[first]}{note}"
    given = _signature(getattr(filesystem, name))
    for close in difflib.get_close_matches(name, operations, 1, _SIMILAR):
        expected = operations[close]
        meant = given and (_takes(given, expected) or "ctx" in given.parameters)
        if meant and close not in defined:
            return f"did you mean {close}{expected}?"
    return None
