"""Scattered reads and writes through a kernel mount: the table of the patch series."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fusesg.cli._load import Job
from fusesg.cli.bench import _filesystems
from fusesg.cli.bench._case import Case, MountWay
from fusesg.cli.bench._group import Group
from fusesg.cli.bench._setting import PAGE, Content, Setting

if TYPE_CHECKING:
    import fusesg

SEGMENTS = 32
SEGMENT = PAGE


def _cases(setting: Setting) -> list[Case]:
    """32 x 4 KiB by readv and writev on each file system.

    Since Linux 3.9 the kernel packs the segments of one call into one request, so that
    its own state before is had by a call for each segment.
    """
    found = []
    size = (2 if setting.quick else 8) << 20
    for label, make in _filesystems.PACKING.items():
        name = f"packing-{label}"
        behind = setting.new_directory(name)
        content = Content(os.path.join(behind, _filesystems.FILE), size, setting.stack)
        mount = setting.mount(make(content.path), name)
        path = os.path.join(mount.path, _filesystems.FILE)
        found += [
            _case(setting, mount, path, content, operation, label)
            for operation in ("read", "write")
        ]
    return found


def _case(
    setting: Setting,
    mount: fusesg.Mount,
    path: str,
    content: Content,
    operation: str,
    served_by: str,
) -> Case:
    def way(label: str, job: Job) -> MountWay:
        return MountWay(label, setting.load, mount, job, content.at)

    size = SEGMENTS * SEGMENT
    return Case(
        group=GROUP.name,
        name=f"{operation}v {SEGMENTS}x{SEGMENT >> 10}K, {served_by}",
        mode="mount",
        before=way(
            "one by one", Job(path, operation, SEGMENT, SEGMENTS, one_call=False)
        ),
        after=way("packed", Job(path, operation, SEGMENT, SEGMENTS)),
        contiguous=way("contiguous", Job(path, operation, size)),
        bytes=size,
        pages_needed=size // PAGE,
        expected={
            "requests_before": SEGMENTS,
            "requests_after": 1,
            "pages_allocated": size // PAGE,
        },
    )


GROUP = Group(
    name="packing-mount",
    title="Packing, through a kernel mount: 32 segments of 4 KiB, O_DIRECT",
    needs_mount=True,
    axis="microseconds for 128 KiB",
    cases=_cases,
)
