"""What a program pays before its first byte and after its last.

Each sample is a new interpreter, whose own start is not counted.
"""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import _sampling
from benchmarks._settings import EFFORT, ROOT, VERSION, need_fuse, on_one_cpu
from benchmarks._workspace import tell_leftovers

_ROUNDS = {"full": 15, "pair": 3, "quick": 1}[EFFORT]

_IMPORT = """
import sys, time
from benchmarks._processes import end_with_parent
from benchmarks._workspace import workspace

end_with_parent(int(sys.argv[1]))
started = time.perf_counter()
import fusesg
print(time.perf_counter() - started)
"""

_MOUNT = """
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
print(mounted - before)
print(unmounted - mounted)
"""


class StartUp:
    """Seconds of the three steps."""

    unit = "seconds"
    version = VERSION
    timeout = 120

    def track_import(self) -> object:
        """The statement `import fusesg`."""
        return self._step(0, _IMPORT)

    def track_mount(self) -> object:
        """Mount a `Passthrough`."""
        need_fuse()
        return self._step(1, _IMPORT + _MOUNT)

    def track_unmount(self) -> object:
        """Unmount it, and join its threads."""
        need_fuse()
        return self._step(2, _IMPORT + _MOUNT)

    def _step(self, number: int, program: str) -> object:
        tell_leftovers()
        with on_one_cpu():
            self._run(program)  # warms up the file cache
            return _sampling.samples(self._run(program)[number] for _ in range(_ROUNDS))

    def _run(self, program: str) -> list[float]:
        code = f"import sys; sys.path.append({str(ROOT)!r})\n{program}"
        output = subprocess.check_output(
            [sys.executable, "-c", code, str(os.getpid())], text=True
        )
        return [float(seconds) for seconds in output.split()]
