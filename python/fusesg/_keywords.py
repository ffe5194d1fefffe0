"""Keyword arguments that there are not: what was meant is said.

Python itself does so from 3.13 on, but not of classes made in Rust.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")


def refusal(kind: type, unknown: Iterable[str]) -> TypeError:
    """What is raised where a class is given arguments that it does not take.

    Args:
        kind: The class.
        unknown: Names of the arguments.

    Returns:
        The exception.
    """
    return _refusal(kind.__name__, [*inspect.signature(kind).parameters], unknown)


def checked(init: Callable[P, None]) -> Callable[P, None]:
    """Lets an `__init__` say what was meant by an argument that it does not take."""
    _, *known = inspect.signature(init).parameters
    of_class, _, _ = init.__qualname__.rpartition(".")

    @functools.wraps(init)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        if unknown := kwargs.keys() - known:
            raise _refusal(of_class, known, unknown)
        init(*args, **kwargs)

    return wrapper


def _refusal(of_class: str, known: list[str], unknown: Iterable[str]) -> TypeError:
    name = min(unknown)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}"
    return TypeError(f"{of_class} has no argument {name!r}; {hint}")
