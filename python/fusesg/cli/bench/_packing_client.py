"""Scattered reads and writes through the in-process client."""

from __future__ import annotations

import os

import fusesg
from fusesg.cli.bench import _filesystems
from fusesg.cli.bench._case import Case
from fusesg.cli.bench._client_way import ClientWay
from fusesg.cli.bench._group import Group
from fusesg.cli.bench._packing_mount import SEGMENT, SEGMENTS
from fusesg.cli.bench._setting import PAGE, Content, Setting


def _cases(setting: Setting) -> list[Case]:
    """The rows of the mount again; here both sides of the patch series can be had."""
    cases = []
    file_size = (2 if setting.quick else 8) << 20
    size = SEGMENTS * SEGMENT
    for served_by, make in _filesystems.PACKING.items():
        behind = setting.new_directory(f"packing-client-{served_by}")
        content = Content(
            os.path.join(behind, _filesystems.FILE), file_size, setting.stack
        )
        segment_client, request_client = (
            setting.stack.enter_context(
                fusesg.Client(make(content.path), packing=packing)
            )
            for packing in ("segment", "request")
        )
        path = f"/{_filesystems.FILE}"
        for operation in ("read", "write"):
            before, after, contiguous = (
                ClientWay(label, client, path, operation, segment, count, content.at)
                for label, client, segment, count in (
                    ("by segment", segment_client, SEGMENT, SEGMENTS),
                    ("packed", request_client, SEGMENT, SEGMENTS),
                    ("contiguous", request_client, size, 1),
                )
            )
            cases.append(
                Case(
                    group=GROUP.name,
                    name=f"{operation}v {SEGMENTS}x{SEGMENT >> 10}K, {served_by}",
                    mode="client",
                    before=before,
                    after=after,
                    contiguous=contiguous,
                    bytes=size,
                    pages_needed=size // PAGE,
                    expected={
                        "requests_before": SEGMENTS,
                        "requests_after": 1,
                        "pages_allocated": size // PAGE,
                    },
                )
            )
    return cases


GROUP = Group(
    name="packing-client",
    title="Packing, in process: 32 segments of 4 KiB, a request for each or one",
    needs_mount=False,
    axis="microseconds for 128 KiB",
    cases=_cases,
)
