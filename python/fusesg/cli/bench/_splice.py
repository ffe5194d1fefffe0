"""Reads whose answers are copied, spliced, or spliced with their pages given away."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import fusesg
from fusesg.cli import _workspace
from fusesg.cli._load import Job
from fusesg.cli.bench._case import Case, Counts, MountWay
from fusesg.cli.bench._group import Group
from fusesg.cli.bench._residency import pages_in_memory
from fusesg.cli.bench._setting import PAGE, Content, Setting

if TYPE_CHECKING:
    from fusesg._config import ConfigOptions
    from fusesg.cli._load import Load

_SIZES = (128 << 10, 1 << 20)
_FILE_SIZE = 4 << 20
_NEVER = 2**32 - 1
_WAYS: dict[str, ConfigOptions] = {
    "copied": {"splice_threshold": _NEVER},
    "spliced": {},
    "moves offered": {"splice_move": True},
}
_PLAIN = ("copied", "spliced")
_MOVING = ("spliced", "moves offered")


def _cases(setting: Setting) -> list[Case]:
    """The same files on a mount for each way.

    The kernel takes pages over only when it reads ahead, only where they lie in memory
    one by one, and only from a file on a disk: pages of tmpfs are the file itself. What
    it has taken must be read from the disk again; that is done off the clock.
    """
    behind = setting.new_directory("splice", on_disk=True)
    setting.notes.append(f"splice: the file is on {_workspace.filesystem_type(behind)}")
    content, single_pages = (
        Content(os.path.join(behind, name), _FILE_SIZE, setting.stack)
        for name in ("file", "single-pages")
    )
    mounts = {
        label: setting.mount(
            fusesg.Passthrough(behind), f"splice-{label.replace(' ', '-')}", **options
        )
        for label, options in _WAYS.items()
    }
    if not all(_read_ahead(mount.path, max(_SIZES)) for mount in mounts.values()):
        setting.notes.append("splice: only root may raise the readahead above 128 KiB")

    def way(label: str, size: int, *, direct: bool) -> MountWay:
        mount = mounts[label]
        job = Job(os.path.join(mount.path, "file"), "read", size, direct=direct)
        return MountWay(label, setting.load, mount, job, content.at)

    def moving_way(label: str, size: int) -> MountWay:
        return _MovingWay(label, setting.load, mounts[label], single_pages, size)

    cases = []
    for size in _SIZES:
        ways = {
            "O_DIRECT": [way(each, size, direct=True) for each in _PLAIN],
            "buffered": [way(each, size, direct=False) for each in _PLAIN],
            "single pages": [moving_way(each, size) for each in _MOVING],
        }
        cases += [
            Case(
                group=GROUP.name,
                name=f"read {size >> 10}K, {name}",
                mode="mount",
                before=before,
                after=after,
                bytes=size,
                pages_needed=size // PAGE,
                expected={"pages_allocated": size // PAGE},
            )
            for name, (before, after) in ways.items()
        ]
    return cases


class _MovingWay(MountWay):
    """A buffered read, of which is also counted how many pages the kernel took."""

    def __init__(
        self,
        label: str,
        load: Load,
        mount: fusesg.Mount,
        content: Content,
        size: int,
    ) -> None:
        path = os.path.join(mount.path, os.path.basename(content.path))
        job = Job(path, "read", size, direct=False, behind=content.path)
        super().__init__(label, load, mount, job, content.at)
        self._behind = content.path
        self._size = size

    def cost(self) -> Counts:
        """See `Way.cost`; what is no longer in the source's cache has been moved."""
        cost = super().cost()
        left = pages_in_memory(self._behind, self._size)
        return dataclasses.replace(cost, moved=self._size // PAGE - left)


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
    title="Splicing, through a kernel mount: reads of a file on a disk",
    needs_mount=True,
    axis="microseconds",
    cases=_cases,
)
