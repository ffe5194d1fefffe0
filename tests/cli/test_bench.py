"""`fusesg bench seeds`: what it counts, shows and refuses; never how long it took."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import fusesg
from fusesg.cli._errors import CommandError
from fusesg.cli._load import Job, Load
from fusesg.cli.bench import _machine, _measure
from fusesg.cli.bench._case import Case, Counts, MountWay, Way
from fusesg.cli.bench._client_way import ClientWay
from fusesg.cli.bench._residency import pages_in_memory

NAMED_FIELDS = {
    "name": str,
    "mode": str,
    "unpacked_s": float,
    "packed_s": float,
    "speedup": float,
    "requests_before": int,
    "requests_after": int,
    "pages_allocated": int,
    "pages_needed": int,
}
COMMAND = [sys.executable, "-m", "fusesg", "bench", "seeds"]


def seeds(*arguments, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory, fuse_available):
    """All of it, briefly: the JSON, what was said on stderr, the chart."""
    del fuse_available  # skips where nothing can be mounted
    chart = tmp_path_factory.mktemp("chart") / "seeds.svg"
    result = seeds("--quick", "--json", "--plot", chart)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), result.stderr, chart


@pytest.fixture
def rows(measured):
    return measured[0]["rows"]


def of_group(rows, group):
    found = [row for row in rows if row["group"] == group]
    assert found, f"no rows of {group}"
    return found


class TestRows:
    def test_named_fields(self, rows):
        for row in rows:
            for field, kind in NAMED_FIELDS.items():
                assert type(row[field]) is kind, (row["name"], field)
            assert row["unpacked_s"] > 0
            assert row["packed_s"] > 0
            assert row["speedup"] == pytest.approx(row["unpacked_s"] / row["packed_s"])
            assert row["pages_allocated"] == row["pages_needed"] > 0
            assert row["problems"] == []

    def test_name_and_mode_tell_rows_apart(self, rows):
        keys = [(row["name"], row["mode"]) for row in rows]
        assert len(set(keys)) == len(keys)

    def test_packing_through_a_mount(self, rows):
        found = of_group(rows, "packing-mount")
        assert {row["name"] for row in found} == {
            f"{operation} 32x4K, {served_by}"
            for operation in ("readv", "writev")
            for served_by in ("native", "plan", "callback")
        }
        for row in found:
            assert (row["requests_before"], row["requests_after"]) == (32, 1)
            assert (row["bytes"], row["pages_needed"]) == (131072, 32)
            assert row["contiguous_s"] > 0
            assert row["contiguous_ratio"] > 0

    def test_packing_in_process(self, rows):
        found = of_group(rows, "packing-client")
        assert {(row["name"], row["mode"]) for row in found} == {
            (f"{operation} 32x4K, {served_by}", "client")
            for operation in ("readv", "writev")
            for served_by in ("native", "plan", "callback")
        }
        for row in found:
            assert (row["requests_before"], row["requests_after"]) == (32, 1)
            assert (row["pages_allocated"], row["pages_needed"]) == (32, 32)

    def test_completion(self, rows):
        found = of_group(rows, "completion")
        assert [(row["name"], row["parameter"]) for row in found] == [
            (f"read 64K in {requests}, {series}", requests)
            for series in ("waits 1 ms", "native")
            for requests in (1, 2, 4, 8, 16)
        ]
        for row in found:
            counts = (row["requests_before"], row["requests_after"])
            assert counts == (row["parameter"], row["parameter"])
            assert (row["pages_allocated"], row["pages_needed"]) == (16, 16)

    def test_splice(self, rows):
        found = of_group(rows, "splice")
        assert [(row["name"], row["before"], row["after"]) for row in found] == [
            (f"read {size}, {name}", before, after)
            for size in ("128K", "1024K")
            for name, before, after in (
                ("O_DIRECT", "copied", "spliced"),
                ("buffered", "copied", "spliced"),
                ("single pages", "spliced", "moves offered"),
            )
        ]
        for row in found:
            assert row["requests_before"] == row["requests_after"]
            assert row["pages_needed"] * 4096 == row["bytes"]
            if row["after"] == "moves offered":
                # how many it takes is the kernel's business
                assert 0 <= row["pages_moved"] <= row["pages_needed"]
            else:
                assert row["pages_moved"] is None

    def test_pipe_lists(self, rows):
        sizes = ("4K", "16K", "64K", "256K", "1024K")
        assert [row["name"] for row in of_group(rows, "pipe-lists")] == [
            f"read {size}, 4 {kind} vs {before}"
            for kind, before in (
                ("pipes", "merged"),
                ("pipes", "copied"),
                ("sockets", "copied"),
            )
            for size in sizes
        ]
        for row in of_group(rows, "pipe-lists"):
            assert (row["requests_before"], row["requests_after"]) == (1, 1)
            assert row["pages_needed"] * 4096 == row["bytes"] == row["parameter"]


class TestOutput:
    def test_progress_does_not_spoil_the_json(self, measured):
        _, errors, _ = measured
        assert "Checking the bytes: " in errors
        assert "Measuring: " in errors

    @pytest.mark.usefixtures("fuse_no_leaks")
    def test_bar_on_a_terminal(self):
        ours, theirs = pty.openpty()
        with open(ours, "rb", buffering=0) as terminal:
            command = [*COMMAND, "--quick", "--only", "packing-mount"]
            with subprocess.Popen(command, stdout=theirs) as bench:
                os.close(theirs)
                output = b""
                # EIO is the end of a terminal
                with contextlib.suppress(OSError):
                    while piece := terminal.read(4096):
                        output += piece
        assert bench.returncode == 0
        assert b"\r\x1b[KChecking the bytes [....." in output
        assert b"\r\x1b[KMeasuring [....." in output

    def test_json_says_where(self, measured):
        machine = measured[0]["machine"]
        assert machine["fusesg"] == fusesg.__version__
        assert machine["kernel"] == os.uname().release

    def test_svg(self, measured):
        result, _, chart = measured
        root = ET.fromstring(chart.read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        text = "\n".join(root.itertext())
        for row in of_group(result["rows"], "packing-mount"):
            assert row["name"] in text

    @pytest.mark.usefixtures("fuse_no_leaks")
    def test_png_and_table(self, tmp_path):
        chart = tmp_path / "seeds.PNG"
        result = seeds("--quick", "--only", "packing-mount", "--plot", chart)
        assert (result.returncode, result.stderr) == (0, "")
        assert chart.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        (line,) = (
            line
            for line in result.stdout.splitlines()
            if line.startswith("  readv 32x4K, native")
        )
        assert "one by one -> packed" in line
        assert "32 -> 1" in line
        assert "client and server on CPU" in result.stdout
        assert "the times mean nothing" in result.stdout
        assert "splice" not in result.stdout


class TestRefused:
    @pytest.mark.parametrize("name", ["seeds", "seeds.pdf", "png"])
    def test_suffix(self, name, tmp_path):
        result = seeds("--plot", tmp_path / name)
        assert result.returncode == 1
        assert result.stdout == ""
        assert "the name must end in .png or .svg" in result.stderr

    def test_chart_in_no_directory(self, tmp_path):
        result = seeds("--plot", tmp_path / "no" / "seeds.svg")
        assert result.returncode == 1
        assert result.stdout == ""
        assert "cannot be written there" in result.stderr

    def test_no_matplotlib(self, tmp_path):
        (tmp_path / "matplotlib.py").write_text("raise ImportError('not installed')")
        environment = {**os.environ, "PYTHONPATH": os.fspath(tmp_path)}
        result = seeds("--plot", tmp_path / "seeds.svg", env=environment)
        assert result.returncode == 1
        assert result.stdout == ""
        assert "pip install 'fusesg[plot]'" in result.stderr

    def test_group(self):
        result = seeds("--only", "packing")
        assert result.returncode == 1
        assert "--only packing: the groups are packing-mount, " in result.stderr

    @pytest.mark.parametrize("cpu", ["9999", "-1", "first"])
    def test_cpu(self, cpu):
        result = seeds("--quick", f"--cpu={cpu}")
        assert result.returncode == 1
        assert f"--cpu {cpu}: expected none or a CPU" in result.stderr

    @pytest.mark.requires("root")
    def test_no_device(self):
        result = self.without_device("--quick")
        assert result.returncode == 1
        assert "/dev/fuse" in result.stdout
        assert "no mount: --only packing-client --only completion" in result.stdout
        assert "Traceback" not in result.stdout

    @pytest.mark.requires("root")
    def test_no_device_is_needed_in_process(self):
        arguments = ["--quick", "--only", "packing-client", "--only", "completion"]
        result = self.without_device(*arguments)
        assert result.returncode == 0, result.stdout
        assert "in process 32 requests become 1, of 32 pages: yes" in result.stdout

    @staticmethod
    def without_device(*arguments):
        # a mount namespace of its own, in which /dev has no fuse
        script = 'mount -t tmpfs none /dev && exec "$@" 2>&1'
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *COMMAND, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


class TestEnds:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.usefixtures("fuse_no_leaks")
    def test_interrupted_cleans_up(self, number, tmp_path):
        environment = {**os.environ, "TMPDIR": os.fspath(tmp_path)}
        with subprocess.Popen(
            [*COMMAND[:1], "-u", *COMMAND[1:], "--only", "packing-mount"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        ) as bench:
            assert bench.stdout is not None
            assert bench.stdout.readline().startswith("Checking the bytes")
            directories = directories_of(bench.pid)
            bench.send_signal(number)
            bench.communicate(timeout=30)
        assert bench.returncode == (130 if number == signal.SIGINT else 143)
        assert directories
        mounts = Path("/proc/self/mounts").read_text()
        for directory in directories:
            assert not directory.exists()
            assert os.fspath(directory) not in mounts
        assert not list(tmp_path.iterdir())

    @pytest.mark.usefixtures("fuse_no_leaks")
    def test_affinity_is_back(self, run_python):
        result = run_python(
            """
import os
from fusesg.cli import main

before = os.sched_getaffinity(0)
assert main(["bench", "seeds", "--quick", "--only", "packing-mount"]) == 0
assert os.sched_getaffinity(0) == before
"""
        )
        assert result.returncode == 0, result.stderr


def directories_of(pid):
    """The temporary directories in which a process has mounted something."""
    lines = Path(f"/proc/{pid}/mounts").read_text().splitlines()
    paths = [Path(line.split()[1]) for line in lines]
    return {
        path.parent for path in paths if path.parent.name.startswith("fusesg-bench-")
    }


class TestNeighbours:
    """Who else uses the machine must not be taken for what is measured."""

    def test_are_told(self):
        neighbours = _machine.Neighbours()
        # not waited for: somebody else's
        with subprocess.Popen(
            [sys.executable, "-c", "print(1, flush=True)\nwhile True: pass"],
            stdout=subprocess.PIPE,
        ) as busy:
            assert busy.stdout is not None
            busy.stdout.readline()
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                os.times()
            (note,) = neighbours.note()
            busy.kill()
        assert re.fullmatch(r"others used \d+% of the CPUs meanwhile: .*", note)


class TestWays:
    """A measurement that would be wrong must not look right."""

    def test_pages_in_memory(self):
        size = 16 * 4096
        # memory is what tmpfs is made of
        with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
            file.truncate(size)
            assert pages_in_memory(file.name, size) == 0
            os.pwrite(file.fileno(), bytes(3 * 4096), 4096)
            assert pages_in_memory(file.name, size) == 3
            assert pages_in_memory(file.name, 2 * 4096) == 1

    @pytest.fixture
    def file(self, tmp_path):
        directory = tmp_path / "behind"
        directory.mkdir()
        (directory / "file").write_bytes(os.urandom(65536))
        return directory / "file"

    @pytest.mark.parametrize("operation", ["read", "write"])
    def test_other_bytes_are_an_error(self, mounted, file, operation):
        with mounted(fusesg.Passthrough(file.parent)) as mount, Load() as load:
            path = os.path.join(mount.path, "file")
            job = Job(path, operation, 4096, 4)
            good = MountWay("good", load, mount, job, content_of(file))
            good.check()
            bad = MountWay("bad", load, mount, job, lambda _, size: bytes(size))
            with pytest.raises(CommandError, match="bad: the bytes are not"):
                bad.check()

    @pytest.mark.parametrize("operation", ["read", "write"])
    def test_other_bytes_are_an_error_in_process(self, file, operation):
        with fusesg.Client(fusesg.Passthrough(file.parent)) as client:
            io = (client, "/file", operation, 4096, 4)
            ClientWay("good", *io, content_of(file)).check()
            with pytest.raises(CommandError, match="bad: the bytes are not"):
                ClientWay("bad", *io, lambda _, size: bytes(size)).check()

    def test_each_call_is_counted(self, mounted, file):
        with mounted(fusesg.Passthrough(file.parent)) as mount, Load() as load:
            path = os.path.join(mount.path, "file")
            for job, requests in (
                (Job(path, "read", 4096, 4), 1),
                (Job(path, "read", 4096, 4, one_call=False), 4),
                (Job(path, "write", 4096, 3, one_call=False), 3),
            ):
                way = MountWay("way", load, mount, job, content_of(file))
                assert way.cost().requests == requests

    def test_error_of_the_client(self):
        with Load() as load, pytest.raises(CommandError, match="No such file"):
            load.seconds(Job("/does/not/exist", "read", 4096), 1)

    def test_short_read(self, file):
        with Load() as load, pytest.raises(CommandError, match="moved 65536"):
            load.seconds(Job(os.fspath(file), "read", 131072, direct=False), 1)

    def test_ratio_is_that_of_the_rounds(self):
        # in the last two rounds the machine was slower, for both
        assert _measure._ratio([1.5, 30.0, 3.0], [1.0, 20.0, 2.0]) == 1.5

    def test_wrong_count_is_a_problem(self):
        case = Case(
            group="group",
            name="name",
            mode="mount",
            before=Counted("before", requests=4),
            after=Counted("after", requests=2),
            bytes=1,
            pages_needed=1,
            expected={"requests_before": 4, "requests_after": 1},
        )
        (row,) = _measure.measure([case], quick=True, progress=sys.stdout)
        assert row.problems == ("name (mount): requests_after is 2, not 1",)
        assert (row.requests_before, row.requests_after) == (4, 2)


def content_of(file):
    def content(offset, size):
        return file.read_bytes()[offset : offset + size]

    return content


class Counted(Way):
    """A way that takes a known number of requests, and no time."""

    def __init__(self, label, requests):
        super().__init__(label)
        self._requests = requests
        self._done = 0

    def check(self):
        pass

    def seconds(self, repetitions):
        self._done += repetitions * self._requests
        return 1.0

    def counts(self):
        return Counts(self._done, 0)
