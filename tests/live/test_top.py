"""`fusesg top`, on a terminal and without one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fusesg.cli import main
from fusesg.cli.live import _units, _view
from fusesg.cli.live._numbers import Interval

from .conftest import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

# Ctrl-C goes to those whose terminal it is
RUN = """
import fcntl, sys, termios
from fusesg.cli import main

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.exit(main(["top", *sys.argv[1:]]))
"""

ENTER, LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"


class Terminal:
    """A terminal with `fusesg top` on it."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self._slave = slave
        self.resize(24, 120)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm"},
        )
        self.shown = ""

    def resize(self, rows: int, columns: int) -> None:
        size = struct.pack("4H", rows, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def read_until(self, pattern: str, after: int = 0) -> int:
        """Reads until the pattern is shown, and returns where that ends."""
        deadline = time.monotonic() + 20
        while not (found := re.compile(pattern, re.DOTALL).search(self.shown, after)):
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._master], [], [], max(left, 0))
            assert ready, f"{pattern} was not shown: {self.shown!r}"
            self.shown += os.read(self._master, 65536).decode()
        return found.end()

    def end(self) -> int:
        """The exit status; the terminal is as it was."""
        status = self.process.wait(timeout=20)
        assert termios.tcgetattr(self._slave) == self.before
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def mount(mounted):
    with mounted(Words(), attribute_timeout=0, entry_timeout=0) as mount:
        yield mount


@contextlib.contextmanager
def top(*arguments: str) -> Iterator[Terminal]:
    terminal = Terminal(*arguments)
    try:
        yield terminal
    finally:
        terminal.close()


def test_it_shows_what_happens(mount):
    with top(mount.path, "--interval", "0.1") as terminal:
        terminal.read_until(re.escape(ENTER))
        terminal.read_until(r" op/s, ")
        program = f"import os\nwhile True: os.stat({mount.path!r} + '/file')"
        user = subprocess.Popen([sys.executable, "-c", program])
        try:
            terminal.read_until(r"\nlookup +[\d.k]+ +0 +- +[\d.]+ [mun]?s")
        finally:
            user.kill()
            user.wait()
        terminal.type(b"q")
        terminal.read_until(re.escape(LEAVE))
        assert terminal.end() == 0
    assert "GIL p50" in terminal.shown


def test_it_is_drawn_anew_in_another_size(mount):
    # it would be an hour until it is drawn again by itself
    with top(mount.path, "--interval", "3600") as terminal:
        drawn = terminal.read_until(r"counting \.\.\.\033\[K\033\[J")
        terminal.resize(24, 5)
        terminal.read_until(r"\033\[Hcount\033\[K\033\[J", after=drawn)
        terminal.type(b"q")
        assert terminal.end() == 0


def test_lines_that_have_no_room_are_counted(mount):
    with top(mount.path, "--interval", "0.1") as terminal:
        terminal.resize(3, 200)
        terminal.read_until(r"\.\.\. and \d+ more lines")
        assert terminal.process.poll() is None
        terminal.type(b"q")
        assert terminal.end() == 0


def test_control_c_ends_it(mount):
    with top(mount.path, "--interval", "3600") as terminal:
        terminal.read_until("counting")
        terminal.type(b"\x03")
        terminal.read_until(re.escape(LEAVE))
        assert terminal.end() == 0
    assert "Traceback" not in terminal.shown


def test_a_signal_leaves_the_terminal_as_it_was(mount):
    with top(mount.path, "--interval", "3600") as terminal:
        terminal.read_until("counting")
        terminal.process.terminate()
        terminal.read_until(re.escape(LEAVE))
        assert terminal.end() == 128 + 15


def test_it_ends_with_the_mount(mount):
    with top(mount.path, "--interval", "0.1") as terminal:
        terminal.read_until(" op/s, ")
        mount.unmount()
        terminal.read_until(re.escape(LEAVE + mount.path) + " has been unmounted")
        assert terminal.end() == 0


def test_without_a_terminal_it_is_one_table(mount, capsys):
    assert main(["top", mount.path, "--interval", "0.1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{mount.path}  Words, process {os.getpid()}, for ")
    assert "\033" not in shown


def test_all_mounts_are_listed_and_new_ones_appear(mount, fuse_mount, tmp_path):
    for name in ("second", "third"):
        (tmp_path / name).mkdir()
    fuse_mount(Words(), tmp_path / "second")
    with top("--interval", "0.1") as terminal:
        terminal.read_until(f"{re.escape(mount.path)} .*/second ")
        third = fuse_mount(Words(), tmp_path / "third")
        after = terminal.read_until(re.escape(third.path))
        third.unmount()
        terminal.read_until(r"\033\[H((?!/third)[^\033]|\033\[K)*\033\[J", after)
        terminal.type(b"q")
        assert terminal.end() == 0


def words(line: str) -> list[str]:
    """The columns of a row; a number and its unit are parted by one blank, too."""
    return re.findall(r"\S+(?: (?:[mun]?s|[KMG]?i?B|p\d\d|flight)\b)?", line)


def is_part(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


@pytest.mark.parametrize("show", [_view.rates, _view.totals])
def test_a_narrow_terminal_has_fewer_columns_but_whole_ones(mount, show):
    for _ in range(3):
        Path(mount.path, "file").read_bytes()
    interval = Interval.between(None, mount.statistics())
    whole = show(interval)
    blank = whole.index("")
    assert "call p99" in whole[blank + 1]
    shown_before: list[str] = []
    for width in range(40, 201):
        lines = show(interval, width)
        assert max(map(len, lines)) <= width
        for line, full in zip(lines[blank:], whole[blank:], strict=True):
            assert is_part(words(line), words(full))
        titles = words(lines[blank + 1])
        assert len(titles) >= max(3, len(shown_before))
        assert "p99" in titles
        shown_before = titles
        for line, full in zip(lines[:blank], whole[:blank], strict=True):
            shown = re.sub(r"(, )?\.\.\.$", "", line)
            assert line == full or (full.startswith(shown) and line != shown)
            assert line == full or "," not in line or line == f"{shown}, ..."
    assert lines == whole


def test_a_narrow_list_of_mounts_has_whole_columns(mount):
    interval = Interval.between(None, mount.statistics())
    path = "/srv/" + "very/" * 20 + "deep"
    mounts = [(mount.path, interval), ("/b", "nobody answers, " * 9), (path, interval)]
    whole = _view.overview(mounts)
    for width in range(40, 201):
        lines = _view.overview(mounts, width)
        assert max(map(len, lines)) <= width
        title, one, broken, deep = (words(line) for line in lines)
        assert is_part(title, words(whole[0]))
        assert {"op/s", "oldest"} <= {*title}
        assert is_part(one[1:], words(whole[1])[1:])
        assert is_part(deep[1:], words(whole[3])[1:])
        assert deep[0] == path or re.fullmatch(r"\.\.\..*deep", deep[0])
        assert broken[:2] == ["/b", "nobody"]


def test_a_terminal_of_80_columns(mount):
    with top(mount.path, "--interval", "0.1") as terminal:
        terminal.resize(24, 80)
        drawn = terminal.read_until(" op/s, ")
        Path(mount.path, "file").read_bytes()
        terminal.read_until(r"\noperation +op/s [^\033]* call p99\033", after=drawn)
        terminal.type(b"q")
        assert terminal.end() == 0
    assert max(map(len, re.split(r"\033\[[HKJ]|[\r\n]+", terminal.shown))) <= 80


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "1e9"])
def test_an_interval_that_makes_no_sense(mount, capsys, interval):
    assert main(["top", mount.path, f"--interval={interval}"]) == 1
    assert "from 0.1 to 3600 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 ns"),
        (9.99e-7, "999 ns"),
        (9.996e-7, "1.0 us"),
        (1e-6, "1 us"),
        (1.25e-5, "12 us"),
        (0.0025, "2.5 ms"),
        (123, "123 s"),
    ],
)
def test_durations_are_short(seconds, text):
    assert _units.duration(seconds) == text


def test_numbers_are_short():
    numbers = [0, 0.04, 7, 7.25, 999.4, 999.6, 12_345, 1e6, 2.5e9]
    written = ["0", "0.0", "7", "7.2", "999", "1.0k", "12k", "1M", "2.5G"]
    assert [_units.count(number) for number in numbers] == written
    assert [_units.size(n) for n in (0, 4096, 10 << 20, 3 << 30)] == [
        "0 B",
        "4 KiB",
        "10 MiB",
        "3 GiB",
    ]
    ages = [_units.age(n) for n in (5, 65, 3700, 90_000)]
    assert ages == ["5 s", "1:05 min", "1:01 h", "1 d 1 h"]
