"""Processes that do not outlive the one that starts them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Has the kernel signal this process when its parent ends, however it does.

    Args:
        parent: The parent's number, which says whether it has ended already.
        number: The signal.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def end_with_asv() -> None:
    """The same of asv, if it runs this process: it may be killed."""
    if "ASV_PROJECT" in os.environ:
        end_with_parent(os.getppid())


def main_of(module: str, *arguments: str) -> list[str]:
    """The command that runs `main` of a module of this package.

    It does not depend on the directory it is run in, and leaves the search for fusesg
    as it is: the checkout comes last.

    Args:
        module: Its name in this package.
        *arguments: For its `sys.argv`.
    """
    program = (
        f"import sys; sys.path.append({str(_ROOT)!r}); "
        f"from benchmarks.{module} import main; main()"
    )
    return [sys.executable, "-c", program, *arguments]
