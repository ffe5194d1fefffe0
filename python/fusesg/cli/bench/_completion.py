"""One I/O of the in-process client in several requests: in turn, or all at once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import fusesg
from fusesg.cli._single_file import PlannedFile
from fusesg.cli.bench import _filesystems
from fusesg.cli.bench._case import Case
from fusesg.cli.bench._client_way import ClientWay
from fusesg.cli.bench._group import Group
from fusesg.cli.bench._setting import PAGE, Content, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

_REQUESTS = (1, 2, 4, 8, 16)
_SIZE = 16 * PAGE
_WAIT_SECONDS = 0.001


class _WaitingFile(PlannedFile):
    """Has to ask somebody where the bytes are, who takes a millisecond to answer."""

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> fusesg.Extent:
        time.sleep(_WAIT_SECONDS)
        return super().read(inode, handle, offset, size, ctx)


_SERIES: dict[str, Callable[[str], fusesg.Filesystem]] = {
    "waits 1 ms": _WaitingFile,
    "native": lambda path: fusesg.Passthrough(os.path.dirname(path)),
}


def _cases(setting: Setting) -> list[Case]:
    """The same 64 KiB in more and more requests.

    Where a request waits for something, those that are sent at once wait together; on
    the native file system nothing waits, and what is left is the price of the counter.
    """
    cases = []
    for series, make in _SERIES.items():
        behind = setting.new_directory(f"completion-{series.replace(' ', '-')}")
        content = Content(
            os.path.join(behind, _filesystems.FILE), 16 * _SIZE, setting.stack
        )
        for requests in _REQUESTS:
            before, after = (
                ClientWay(
                    label,
                    setting.stack.enter_context(
                        fusesg.Client(
                            make(content.path),
                            max_pages=_SIZE // PAGE // requests,
                            asynchronous=asynchronous,
                        )
                    ),
                    f"/{_filesystems.FILE}",
                    "read",
                    _SIZE,
                    1,
                    content.at,
                )
                for label, asynchronous in (("in turn", False), ("at once", True))
            )
            cases.append(
                Case(
                    group=GROUP.name,
                    name=f"read 64K in {requests}, {series}",
                    mode="client",
                    before=before,
                    after=after,
                    bytes=_SIZE,
                    pages_needed=_SIZE // PAGE,
                    series=series,
                    parameter=requests,
                    expected={
                        "requests_before": requests,
                        "requests_after": requests,
                        "pages_allocated": _SIZE // PAGE,
                    },
                )
            )
    return cases


GROUP = Group(
    name="completion",
    title="Completion, in process: one read of 64 KiB in several requests",
    needs_mount=False,
    axis="requests",
    cases=_cases,
)
