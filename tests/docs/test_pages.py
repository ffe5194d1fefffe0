"""The code in README.md and in docs/ does what the pages say.

Everything in a `python` or `console` fence is run, from the top of the page to its end,
in one empty directory:

- A block whose first line is a comment with a file name (`# hello.py`) becomes that
  file. So do blocks of other languages that begin so (`# fusesg.toml`).
- Any other `python` block is executed; what it defines is there for the next ones.
  Functions named `test_…` are called, with pytest's fixtures for their arguments.
- In a `console` block each line that begins with `$ ` is a command for bash, and what
  follows is exactly what it prints; a line `...` stands for any lines. After a command
  that ends in `&` the next one waits until something new is mounted in the directory.
- `<!-- python` … `-->`, which no reader sees, is executed like a block.
- `<!-- not run: reason -->` just above a block leaves it out.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECONDS = 30
"""How long a command, or the appearance of a mount, may take."""

RUN = ("python", "console")

_FENCE = re.compile(r"^(?P<fence>`{3,}|<!-- (?=python$))(?P<language>.*)$")
_NOT_RUN = re.compile(r"^<!-- not run: .+ -->$")
_FILE_NAME = re.compile(r"^(?:#|//|;) (?P<name>[\w/-]+\.[a-z]+)$")


@dataclass(frozen=True)
class Block:
    """Some lines of code in a page."""

    page: Path
    line: int
    """Number of its first line of code."""
    language: str
    code: str

    @property
    def file_name(self) -> str | None:
        """The file that it is the content of, if it is that."""
        match = _FILE_NAME.match(self.code.partition("\n")[0])
        return match["name"] if match else None

    @property
    def where(self) -> str:
        """The place, as editors understand it."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a console block, and what it prints."""

    line: int
    text: str
    output: str

    @property
    def is_in_background(self) -> bool:
        """Whether the next command does not wait for its end."""
        return self.text.endswith("&")

    def matches(self, output: str) -> bool:
        """Whether a command that printed `output` did as it says here."""
        pattern = re.escape(self.output.rstrip("\n"))
        pattern = re.sub(r"(?:^|(?<=\n))\\\.\\\.\\\.(?=\n|$)", r"[\\s\\S]*", pattern)
        return re.fullmatch(pattern, output.rstrip("\n")) is not None


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of a page that are to be run."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = 0
    while start < len(lines):
        match = _FENCE.match(lines[start])
        start += 1
        if not match:
            continue
        closing = "-->" if match["fence"].startswith("<") else match["fence"]
        end = lines.index(closing, start)
        # a blank line may be between a comment and a block
        before = [line for line in lines[max(0, start - 3) : start - 1] if line]
        is_left_out = bool(before and _NOT_RUN.match(before[-1]))
        code = "\n".join(lines[start:end]) + "\n"
        block = Block(page, start + 1, match["language"], code)
        if not is_left_out and (block.language in RUN or block.file_name):
            yield block
        start = end + 1


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block."""
    line, text, output = block.line, "", ""
    for number, each in enumerate(block.code.splitlines(), block.line):
        if each.startswith("$ "):
            if text:
                yield Command(line, text, output)
            # what an interactive user would read as a comment is none of the command's
            line, text, output = number, re.sub(r"\s+# .*", "", each[2:]), ""
        elif text.endswith("\\"):
            text += f"\n{each.removeprefix('> ')}"
        else:
            output += f"{each}\n"
    if text:
        yield Command(line, text, output)


# Running a page


class Reader:
    """Somebody who does what a page says, in an empty directory."""

    def __init__(self, directory: Path, request: pytest.FixtureRequest) -> None:
        self._directory = directory
        self._request = request
        self._names: dict[str, Any] = {"__name__": "__page__"}
        self._servers: list[subprocess.Popen[str]] = []
        # the programs of the interpreter that runs the tests come first
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"}

    def follow(self, block: Block) -> None:
        """Does what one block says."""
        if block.file_name:
            file = self._directory / block.file_name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code)
        elif block.language == "python":
            self._execute(block)
        else:
            for command in commands(block):
                self._run(command, f"{block.page}:{command.line}")

    def _execute(self, block: Block) -> None:
        # empty lines before it make tracebacks tell the line of the page
        source = "\n" * (block.line - 1) + block.code
        known = set(self._names)
        exec(compile(source, block.page, "exec"), self._names)
        for name in self._names.keys() - known:
            if name.startswith("test_"):
                self._call(self._names[name])

    def _call(self, test: Any) -> None:
        wanted = inspect.signature(test).parameters
        test(**{name: self._request.getfixturevalue(name) for name in wanted})

    def _run(self, command: Command, where: str) -> None:
        if command.is_in_background:
            self._start(command, where)
            return
        done = subprocess.run(
            ["bash", "-c", command.text],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if not command.matches(done.stdout):
            pytest.fail(
                f"{where}: $ {command.text}\nshould print\n{command.output}\n"
                f"but prints (status {done.returncode})\n{done.stdout}",
                pytrace=False,
            )

    def _start(self, command: Command, where: str) -> None:
        mounts = self._mounts()
        before, _, program = command.text.removesuffix("&").rpartition("&& ")
        if before:
            subprocess.run(
                ["bash", "-c", before.removesuffix("&& ")],
                cwd=self._directory,
                env=self._environment,
                timeout=SECONDS,
                check=True,
            )
        with Path("/proc/self/mountinfo").open() as mountinfo:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {program}"],
                cwd=self._directory,
                env=self._environment,
                text=True,
            )
            self._servers.append(server)
            deadline = time.monotonic() + SECONDS
            # the kernel announces a change of the mounts as an error condition
            changed = select.poll()
            changed.register(mountinfo, select.POLLERR)
            while self._mounts() == mounts:
                assert server.poll() is None, f"{where}: ended: {server.returncode}"
                assert time.monotonic() < deadline, f"{where}: not mounted in time"
                changed.poll(100)

    def _mounts(self) -> set[str]:
        prefix = f"{self._directory}/"
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return {path for line in lines if (path := line.split()[4]).startswith(prefix)}

    def leave(self) -> None:
        """Presses Ctrl-C in what still runs."""
        for server in self._servers:
            with contextlib.suppress(ProcessLookupError):
                server.send_signal(signal.SIGINT)
            try:
                server.wait(SECONDS)
            finally:
                server.kill()
        self._names.clear()
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or ""
            if file.startswith(f"{self._directory}/"):
                del sys.modules[name]
        self._collect_classes()
        assert not self._mounts(), "the page leaves a mount"

    def _collect_classes(self) -> None:
        """Drops the classes of the page, which may hold files open.

        A class refers to itself, and is found only when the threads that served it have
        dropped its objects, a moment after the end of the mount.
        """
        deadline = time.monotonic() + SECONDS
        pause = threading.Event()
        while True:
            gc.collect()
            if not self._has_open_files() or time.monotonic() > deadline:
                return
            pause.wait(0.01)

    def _has_open_files(self) -> bool:
        for descriptor in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/self/fd/{descriptor}")
                if target.startswith(f"{self._directory}/"):
                    return True
        return False


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=str(page.relative_to(ROOT).with_suffix("")))
        for page in PAGES
        if next(blocks(page), None)
    ],
)
@pytest.mark.usefixtures("fuse_no_leaks", "mountpoint")
def test_page(
    page: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory = tmp_path / "page"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(directory)
    reader = Reader(directory, request)
    try:
        for block in blocks(page):
            reader.follow(block)
    finally:
        reader.leave()


def test_hello_world_is_short() -> None:
    hello = next(block for block in blocks(ROOT / "README.md") if block.file_name)
    lines = [line for line in hello.code.splitlines() if line]
    assert len(lines) - 1 <= 15, "without its name"
