"""Answers out of several pipes and sockets, against merging or copying them first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fusesg.cli._load import Job
from fusesg.cli.bench import _filesystems, _stream_files
from fusesg.cli.bench._case import Case, MountWay
from fusesg.cli.bench._group import Group
from fusesg.cli.bench._setting import PAGE, Content, Setting

if TYPE_CHECKING:
    import fusesg

_SIZES = (4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20)


def _cases(setting: Setting) -> list[Case]:
    """Each size on a mount for each way, with O_DIRECT: one request for each read."""
    largest = max(_SIZES)
    behind = setting.new_directory("pipe-lists")
    content = Content(os.path.join(behind, "behind"), 2 * largest, setting.stack)
    path = content.path
    filesystems: dict[tuple[str, str], fusesg.Filesystem] = {
        ("pipes", "list"): _stream_files.PipeListFile(path, largest),
        ("pipes", "merged"): _stream_files.MergedPipeFile(path, largest),
        ("pipes", "copied"): _stream_files.CopiedPipeFile(path, largest),
        ("sockets", "list"): _stream_files.SocketListFile(path),
        ("sockets", "copied"): _stream_files.CopiedSocketFile(path),
    }
    ways = {}
    for (kind, label), filesystem in filesystems.items():
        mount = setting.mount(filesystem, f"{kind}-{label}", max_write=largest)
        for size in _SIZES:
            job = Job(os.path.join(mount.path, _filesystems.FILE), "read", size)
            ways[kind, label, size] = MountWay(
                label, setting.load, mount, job, content.at
            )
    return [
        Case(
            group=GROUP.name,
            name=f"read {size >> 10}K, {_stream_files.SOURCES} {kind} vs {before}",
            mode="mount",
            before=ways[kind, before, size],
            after=ways[kind, "list", size],
            bytes=size,
            pages_needed=size // PAGE,
            series=f"{_stream_files.SOURCES} {kind}",
            parameter=size,
            expected={
                "requests_before": 1,
                "requests_after": 1,
                "pages_allocated": size // PAGE,
            },
        )
        for kind, before in (
            ("pipes", "merged"),
            ("pipes", "copied"),
            ("sockets", "copied"),
        )
        for size in _SIZES
    ]


GROUP = Group(
    name="pipe-lists",
    title="Lists of pipes and sockets, through a kernel mount: four make one answer",
    needs_mount=True,
    axis="bytes read, O_DIRECT",
    cases=_cases,
)
