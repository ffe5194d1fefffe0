"""Where the callbacks of a file system are at the moment."""

from __future__ import annotations

import asyncio
import inspect
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


def is_asynchronous(filesystem: object) -> bool:
    """Whether a file system has async methods.

    Args:
        filesystem: The object that is served.
    """
    methods = (getattr(type(filesystem), name, None) for name in _OPERATIONS)
    return any(inspect.iscoroutinefunction(method) for method in methods)


def awaited_callbacks(filesystem: object, loop: asyncio.AbstractEventLoop) -> list[str]:
    """Async methods of a file system that have not returned, each with its stack.

    Args:
        filesystem: The object that is served.
        loop: Where they run.
    """
    found = []
    for task in asyncio.all_tasks(loop):
        frames = list(_inwards(task.get_coro()))
        calls = [frame for frame in frames if _is_operation(filesystem, frame)]
        if calls:
            inside = frames[frames.index(calls[0]) :]
            places = ((frame, frame.f_lineno) for frame in inside)
            stack = "".join(traceback.StackSummary.extract(places).format()).rstrip()
            name = f"{type(filesystem).__name__}.{calls[0].f_code.co_name}"
            found.append(f"{name}, awaited:\n{stack}")
    return found


def _inwards(coroutine: object) -> Iterator[FrameType]:
    """The frames of a coroutine and of what it awaits, of what that awaits, and on."""
    while frame := getattr(coroutine, "cr_frame", None):
        yield frame
        coroutine = getattr(coroutine, "cr_await", None)


def _callback(filesystem: object, frame: FrameType) -> tuple[str, list[str]] | None:
    """The outermost method of the file system on a stack, and the stack within it."""
    inside = [
        depth
        for depth, each in enumerate(_outwards(frame), start=1)
        if _is_operation(filesystem, each)
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


def _is_operation(filesystem: object, frame: FrameType) -> bool:
    code = frame.f_code
    if code.co_name not in _OPERATIONS or not code.co_argcount:
        return False
    return frame.f_locals.get(code.co_varnames[0]) is filesystem
