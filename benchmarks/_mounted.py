"""Mounts to measure, each served by a process of its own."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self

from benchmarks._processes import end_with_asv, main_of
from benchmarks._server import Request
from benchmarks._settings import Unsupported, need_fuse
from benchmarks._workspace import tell_leftovers

_END_SECONDS = 20.0


class Mounted:
    """A mount for the time of a `with` block.

    Args:
        kind: How it answers; see `_filesystems`.
        size: Bytes of its only file, `data`.
        files: How many empty files it has otherwise.
        one_cpu: Whether the server is kept on the CPU of `_settings.on_one_cpu`.
        **options: Settings of `fusesg.Config`.

    Raises:
        NotHere: There is no FUSE here.
        Unsupported: The commit of fusesg cannot serve it.
        RuntimeError: It cannot be mounted, and the message says why.
    """

    def __init__(
        self,
        kind: str,
        *,
        size: int | None = None,
        files: int = 0,
        one_cpu: bool = False,
        **options: Any,
    ) -> None:
        need_fuse()
        end_with_asv()
        tell_leftovers()
        request = Request(kind, os.getpid(), size, files, one_cpu, options)
        self._process = subprocess.Popen(
            main_of("_server", request.as_json()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        answer = self._read()
        if "mountpoint" not in answer:
            self.close()
            if reason := answer.get("unsupported"):
                raise Unsupported(reason)
            raise RuntimeError(f"cannot mount: {answer.get('error')}")
        self.path = Path(answer["mountpoint"])
        self.source = Path(answer["source"])

    def ask(self, command: str) -> Any:
        """What the server answers to a command; see `_server`."""
        assert self._process.stdin is not None
        print(command, file=self._process.stdin, flush=True)
        return self._read()["value"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise RuntimeError(f"the server has ended with status {status}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Unmounts and waits for the end of the server."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


_kept: dict[tuple[object, ...], Mounted] = {}


def kept(kind: str, **arguments: Any) -> Mounted:
    """A mount that stays for the next benchmark of this process that wants the same."""
    key = (kind, *sorted(arguments.items()))
    if key not in _kept:
        _kept[key] = Mounted(kind, **arguments)
    return _kept[key]


def close_kept() -> None:
    """Unmounts those."""
    while _kept:
        _kept.popitem()[1].close()


atexit.register(close_kept)
