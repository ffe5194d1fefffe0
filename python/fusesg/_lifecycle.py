"""What happens to mounts when the process ends.

- By the end of the program, an exception or sys.exit(): the function registered here
  unmounts, and waits a bounded time.
- By a signal that kills, os._exit() or kill -9: no Python code runs. A watcher process,
  which every mount has, sees the end of this process and detaches the mount.
- In a child made by fork(): nothing. The mounts belong to the parent; the core
  remembers which process made them, and what is registered here leaves them alone.

No signal handler is installed behind the user's back; only `serve` has some, while it
runs.
"""

from __future__ import annotations

import atexit

from fusesg import _core, _logging


def install() -> None:
    """Registers the above; called once, when fusesg is imported.

    Functions of atexit run last in, first out: one that a program registers after
    importing fusesg can still use its mounts.
    """
    atexit.register(_shut_down)


def _shut_down() -> None:
    _core._shutdown()  # noqa: SLF001 - the core's side of this very module
    _logging.finish()
