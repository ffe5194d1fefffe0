"""What a program pays before its first byte and after its last.

Each sample is a new interpreter, whose own start is not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks import _sampling
from benchmarks._settings import EFFORT, ROOT, VERSION, on_one_cpu
from benchmarks._workspace import tell_leftovers

_ROUNDS = {"full": 15, "pair": 3, "quick": 1}[EFFORT]

_PROGRAM = """
import sys, time
from benchmarks._processes import end_with_parent
from benchmarks._workspace import workspace

end_with_parent(int(sys.argv[1]))
started = time.perf_counter()
import fusesg
imported = time.perf_counter()
with workspace() as directory:
    source, mountpoint = directory / "source", directory / "mnt"
    source.mkdir()
    mountpoint.mkdir()
    filesystem = fusesg.Passthrough(source)
    before = time.perf_counter()
    mount = fusesg.mount(filesystem, mountpoint)
    mounted = time.perf_counter()
    mount.unmount()
    unmounted = time.perf_counter()
print([imported - started, mounted - before, unmounted - mounted])
"""


class StartUp:
    """Seconds of the three steps."""

    unit = "seconds"
    version = VERSION
    timeout = 120

    def track_import(self) -> object:
        """The statement `import fusesg`."""
        return self._step(0)

    def track_mount(self) -> object:
        """Mount a `Passthrough`."""
        return self._step(1)

    def track_unmount(self) -> object:
        """Unmount it, and join its threads."""
        return self._step(2)

    def _step(self, number: int) -> object:
        tell_leftovers()
        with on_one_cpu():
            self._run()  # warms up the file cache
            return _sampling.samples(self._run()[number] for _ in range(_ROUNDS))

    def _run(self) -> list[float]:
        code = f"import sys; sys.path.append({str(ROOT)!r})\n{_PROGRAM}"
        output = subprocess.check_output(
            [sys.executable, "-c", code, str(os.getpid())], text=True
        )
        seconds: list[float] = json.loads(output)
        return seconds
