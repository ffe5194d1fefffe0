"""Buffered reads whose answers are copied or spliced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import fusesg
from fusesg.cli import _workspace
from fusesg.cli._load import Job
from fusesg.cli.bench import _filesystems
from fusesg.cli.bench._case import Case, MountWay
from fusesg.cli.bench._group import Group
from fusesg.cli.bench._setting import PAGE, Content, Setting

if TYPE_CHECKING:
    from fusesg._config import ConfigOptions

_SIZES = (128 << 10, 1 << 20)
_FILE_SIZE = 4 << 20
_NEVER = 2**32 - 1
_WAYS: dict[str, ConfigOptions] = {
    "copied": {"splice_threshold": _NEVER},
    "spliced": {},
}


def _cases(setting: Setting) -> list[Case]:
    """The same file on a mount for each way, read through the page cache.

    Readahead is the one place where the kernel may take a page over from an answer, and
    only from a file on a disk: pages of tmpfs are the file itself.
    """
    behind = setting.new_directory("splice", on_disk=True)
    setting.notes.append(f"splice: the file is on {_workspace.filesystem_type(behind)}")
    content = Content(
        os.path.join(behind, _filesystems.FILE), _FILE_SIZE, setting.stack
    )
    mounts = {
        label: setting.mount(fusesg.Passthrough(behind), f"splice-{label}", **options)
        for label, options in _WAYS.items()
    }
    if not all(_read_ahead(mount.path, max(_SIZES)) for mount in mounts.values()):
        setting.notes.append("splice: only root may raise the readahead above 128 KiB")
    cases = []
    for size in _SIZES:
        ways = {}
        for label, mount in mounts.items():
            path = os.path.join(mount.path, _filesystems.FILE)
            job = Job(path, "read", size, direct=False, behind=content.path)
            ways[label] = MountWay(label, setting.load, mount, job, content.at)
        cases += [
            Case(
                group=GROUP.name,
                name=f"read {size >> 10}K, {after}",
                mode="mount",
                before=ways[before],
                after=ways[after],
                bytes=size,
                pages_needed=size // PAGE,
            )
            for before, after in zip(ways, list(ways)[1:], strict=False)
        ]
    return cases


def _read_ahead(mountpoint: str, size: int) -> bool:
    """Lets one request of readahead be so large; the kernel's own limit is 128 KiB."""
    device = os.stat(mountpoint).st_dev
    name = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    try:
        with open(name, "w", encoding="ascii") as file:
            file.write(str(size >> 10))
    except OSError:
        return False
    return True


GROUP = Group(
    name="splice",
    title="Splicing, through a kernel mount: buffered reads of a file on a disk",
    axis="microseconds",
    cases=_cases,
)
