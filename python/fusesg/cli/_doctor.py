"""`fusesg doctor`: what this machine allows, and what to do where it does not."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from fusesg.cli import _install_helper, _mount_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CAP_SYS_ADMIN = 21
_KERNEL_PASSTHROUGH_SINCE = (6, 9)
_FULL_REQUEST_PAGES = 256
_PIPE_SIZE = 1 << 20
_MANY_FILES = 65536
_HALT_POLL = "/sys/module/haltpoll/parameters/guest_halt_poll_ns"
_HALT_POLL_NS = 200_000
_SHALLOW_US = 10
_SLOW_WAKE_UP = "a lone request takes 25 to 60 us, on its client's CPU 10"
_SAME_CPU = "or -o cpu_affinity=N, and the client on CPU N: taskset -c N ..."
_ANSWER_SECONDS = 2.0
_FUSECTL = "/sys/fs/fuse/connections"


class Status(StrEnum):
    """How a check ended."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    name: str
    status: Status
    finding: str
    remedy: str = ""


def run() -> int:
    """Prints the table; 1 if mounting will not work."""
    checks = [check for checks in _CHECKS for check in checks()]
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{check.status:<5} {check.name:<{width}}  {check.finding}")
        if check.remedy:
            print(f"{'':5} {'':{width}}  -> {check.remedy}")
    failed = sum(check.status is Status.FAIL for check in checks)
    warned = sum(check.status is Status.WARN for check in checks)
    if failed:
        print(f"\nMounting will not work: {failed} failed, {warned} warnings.")
        return 1
    print(f"\nMounting works; {warned} warnings." if warned else "\nAll is well.")
    return 0


# Whether mounting works at all


def _kernel() -> Iterator[Check]:
    yield Check("kernel", Status.OK, f"Linux {platform.release()}")


def _device() -> Iterator[Check]:
    name = "/dev/fuse"
    try:
        os.close(os.open(name, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        remedy = "modprobe fuse; in a container: run it with --device /dev/fuse"
        yield Check(name, Status.FAIL, "does not exist", remedy)
    except OSError as error:
        remedy = "chmod 666 /dev/fuse; in a container: run it with --device /dev/fuse"
        yield Check(name, Status.FAIL, str(error.strerror), remedy)
    else:
        yield Check(name, Status.OK, "can be opened")


def _mounting() -> Iterator[Check]:
    name = "mounting"
    if _is_admin():
        yield Check(name, Status.OK, "by mount(2), as root")
        return
    helper = shutil.which("fusermount3")
    if helper is None:
        remedy = "install the package fuse3"
        yield Check(name, Status.FAIL, "not root, and no fusermount3", remedy)
    elif not os.stat(helper).st_mode & stat.S_ISUID:
        remedy = f"chmod u+s {helper}"
        finding = f"not root, and {helper} is not setuid root"
        yield Check(name, Status.FAIL, finding, remedy)
    elif _no_new_privileges():
        remedy = "run without NoNewPrivileges (systemd), no_new_privs (containers)"
        yield Check(name, Status.FAIL, "setuid programs are disabled here", remedy)
    else:
        yield Check(name, Status.OK, f"by {helper}")


def _allow_other() -> Iterator[Check]:
    name = "allow_other"
    if _is_admin():
        yield Check(name, Status.OK, "root may let other users in")
    elif re.search(r"(?m)^\s*user_allow_other\s*$", _read("/etc/fuse.conf")):
        yield Check(name, Status.OK, "user_allow_other is set in /etc/fuse.conf")
    else:
        remedy = "as root: echo user_allow_other >> /etc/fuse.conf"
        yield Check(name, Status.WARN, "only root may let other users in", remedy)


def _stale_mounts() -> Iterator[Check]:
    name = "stale mounts"
    paths = [entry.path for entry in _mount_table.read() if entry.is_fuse]
    dead = _silent(paths)
    if not dead:
        yield Check(name, Status.OK, f"none among {len(paths)} FUSE mounts")
    for path in dead:
        remedy = f"fusesg umount --lazy {path}"
        yield Check(name, Status.WARN, f"nobody answers at {path}", remedy)


# What makes it fast


def _kernel_passthrough() -> Iterator[Check]:
    name = "kernel passthrough"
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    version = (int(release[1]), int(release[2])) if release else (0, 0)
    if version < _KERNEL_PASSTHROUGH_SINCE:
        remedy = "Linux 6.9 or later, to let the kernel read and write files itself"
        yield Check(name, Status.WARN, f"not in Linux {platform.release()}", remedy)
    elif not _is_admin():
        yield Check(name, Status.WARN, "needs root", "mount as root")
    else:
        yield Check(name, Status.OK, "allowed")


def _io_uring() -> Iterator[Check]:
    name = "io_uring"
    enabled = _read("/sys/module/fuse/parameters/enable_uring").strip()
    # nothing to be warned of: this version serves through /dev/fuse
    finding = {"Y": "enabled for FUSE", "N": "not enabled for FUSE"}
    unused = "this version does not use it"
    found = finding.get(enabled, "this kernel has none for FUSE")
    yield Check(name, Status.OK, f"{found} ({unused})")


def _request_size() -> Iterator[Check]:
    name = "request size"
    # older kernels have no such setting, and the default's value
    limit = int(_read("/proc/sys/fs/fuse/max_pages_limit") or _FULL_REQUEST_PAGES)
    finding = f"up to {limit * 4} KiB"
    if limit >= _FULL_REQUEST_PAGES:
        yield Check(name, Status.OK, finding)
    else:
        remedy = f"sysctl fs.fuse.max_pages_limit={_FULL_REQUEST_PAGES}"
        yield Check(name, Status.WARN, finding, remedy)


def _pipe_size() -> Iterator[Check]:
    name = "pipe size"
    size = int(_read("/proc/sys/fs/pipe-max-size") or 0)
    finding = f"up to {size >> 10} KiB"
    if size >= _PIPE_SIZE:
        yield Check(name, Status.OK, finding)
    else:
        remedy = f"sysctl fs.pipe-max-size={_PIPE_SIZE}"
        yield Check(name, Status.WARN, finding, remedy)


def _open_files() -> Iterator[Check]:
    name = "open files"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    finding = f"{soft} allowed, {hard} at most"
    if soft == resource.RLIM_INFINITY or soft >= _MANY_FILES:
        yield Check(name, Status.OK, finding)
    else:
        allowed = hard == resource.RLIM_INFINITY or hard >= _MANY_FILES
        how = f"ulimit -n {_MANY_FILES}" if allowed else "raise it in limits.conf(5)"
        remedy = f"{how}: Passthrough keeps a descriptor for each inode in use"
        yield Check(name, Status.WARN, finding, remedy)


def _processors() -> Iterator[Check]:
    name = "CPUs"
    mine = len(os.sched_getaffinity(0))
    count = f"{mine} of {os.cpu_count()}"
    if mine == 1:
        remedy = "allow a second CPU, so that clients and servers need not take turns"
        yield Check(name, Status.WARN, count, remedy)
    else:
        yield Check(name, Status.OK, f"{count}, wherever the scheduler wants")


def _wake_up() -> Iterator[Check]:
    """What a request that comes alone waits for: an idle CPU that is woken."""
    name = "waking a CPU"
    driver = _read("/sys/devices/system/cpu/cpuidle/current_driver").strip()
    halt_poll = _read(_HALT_POLL).strip()
    held = _held_latency()
    if held is not None and held <= _SHALLOW_US:
        yield Check(name, Status.OK, f"at most {held} us, by /dev/cpu_dma_latency")
    elif driver == "haltpoll" and halt_poll and int(halt_poll) < _HALT_POLL_NS:
        finding = f"{_SLOW_WAKE_UP}, as idle virtual CPUs sleep at once"
        remedy = f"echo {_HALT_POLL_NS} > {_HALT_POLL}, which costs the host CPU time"
        yield Check(name, Status.WARN, finding, f"{remedy}; {_SAME_CPU}")
    elif driver not in {"", "none", "haltpoll"}:
        # deep sleep is what most machines want: no warning
        finding = f"{_SLOW_WAKE_UP} where they sleep deeply (driver {driver})"
        remedy = f"tuned-adm profile latency-performance, if it matters; {_SAME_CPU}"
        yield Check(name, Status.OK, finding, remedy)
    else:
        yield Check(name, Status.OK, "nothing here makes it slow")


# What helps in trouble, and what else there is


def _control() -> Iterator[Check]:
    name = "fusectl"
    if any(entry.path == _FUSECTL for entry in _mount_table.read()):
        yield Check(name, Status.OK, f"mounted at {_FUSECTL}")
    else:
        remedy = f"mount -t fusectl none {_FUSECTL}, to abort a mount that hangs"
        yield Check(name, Status.WARN, "not mounted", remedy)


def _helper() -> Iterator[Check]:
    name = "mount(8)"
    if _install_helper.is_installed():
        yield Check(name, Status.OK, "mount -t fuse.fusesg SOURCE MOUNTPOINT works")
    else:
        remedy = "fusesg install-helper, if /etc/fstab is to mount it"
        yield Check(name, Status.OK, "does not know fusesg", remedy)


_CHECKS: list[Callable[[], Iterator[Check]]] = [
    _kernel,
    _device,
    _mounting,
    _allow_other,
    _stale_mounts,
    _kernel_passthrough,
    _io_uring,
    _request_size,
    _pipe_size,
    _open_files,
    _processors,
    _wake_up,
    _helper,
    _control,
]


def _read(path: str) -> str:
    """A small file of the kernel or of /etc, empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _held_latency() -> int | None:
    """Microseconds within which CPUs have to wake up, as some process asks for."""
    try:
        with open("/dev/cpu_dma_latency", "rb") as device:
            return int.from_bytes(device.read(4), sys.byteorder, signed=True)
    except OSError:
        return None


def _is_admin() -> bool:
    """Whether mount(2) is allowed; root in a container often is not."""
    effective = re.search(r"(?m)^CapEff:\s*([0-9a-f]+)", _read("/proc/self/status"))
    return bool(effective and int(effective[1], 16) >> _CAP_SYS_ADMIN & 1)


def _no_new_privileges() -> bool:
    return re.search(r"(?m)^NoNewPrivs:\s*1", _read("/proc/self/status")) is not None


def _silent(paths: list[str]) -> list[str]:
    """The mounts that are not served; asked by processes that may hang in our stead."""
    program = "import os, sys; os.statvfs(sys.argv[1])"
    probes = {
        path: subprocess.Popen(
            [sys.executable, "-S", "-c", program, path],
            stderr=subprocess.PIPE,
            cwd="/",
        )
        for path in paths
    }
    deadline = time.monotonic() + _ANSWER_SECONDS
    return [path for path in paths if not _answered(probes[path], deadline)]


def _answered(probe: subprocess.Popen[bytes], deadline: float) -> bool:
    with probe:
        try:
            _, errors = probe.communicate(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            probe.kill()
            return False
    # another user's mount refuses us, and so is alive
    return probe.returncode == 0 or b"PermissionError" in errors
