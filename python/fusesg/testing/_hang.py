"""Where the callbacks of a file system are at the moment."""

from __future__ import annotations

import sys
import threading
import traceback
from typing import TYPE_CHECKING

from fusesg._filesystem import Filesystem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_OPERATIONS = {name for name in vars(Filesystem) if not name.startswith("_")}


def running_callbacks(filesystem: object) -> list[str]:
    """Methods of a file system that have not returned, each with its stack.

    Args:
        filesystem: The object that is served.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return [
        f"{type(filesystem).__name__}.{method}, in thread {names.get(ident, ident)}:\n"
        + "".join(stack).rstrip()
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - documented
        if (found := _callback(filesystem, frame))
        for method, stack in [found]
    ]


def _callback(filesystem: object, frame: FrameType) -> tuple[str, list[str]] | None:
    """The outermost method of the file system on a stack, and the stack within it."""
    inside = [
        depth
        for depth, each in enumerate(_outwards(frame), start=1)
        if each.f_code.co_name in _OPERATIONS and _self(each) is filesystem
    ]
    if not inside:
        return None
    # format_stack wants the innermost frame, and how many to show
    stack = traceback.format_stack(frame)[-inside[-1] :]
    method = list(_outwards(frame))[inside[-1] - 1].f_code.co_name
    return method, stack


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _self(frame: FrameType) -> object:
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
