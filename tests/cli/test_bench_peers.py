"""`fusesg bench peers`: what it measures, shows and survives; never how long."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.util
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import fusesg
from fusesg.cli._errors import CommandError
from fusesg.cli._load import Job, Load, NamesLoad, NoAnswerError
from fusesg.cli._load._names_program import WORKS, make_names, names_after
from fusesg.cli.bench.peers import _files, _result, _table
from fusesg.cli.bench.peers._result import Result, RowResult, SystemResult
from fusesg.cli.bench.peers._rows import ROWS, rate
from fusesg.cli.bench.peers._systems import SYSTEMS

COMMAND = [sys.executable, "-m", "fusesg", "bench", "peers"]
ROW_NAMES = [row.name for row in ROWS]
NO_LIBFUSE = {**os.environ, "PATH": os.defpath}


def peers(*arguments, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        **options,
    )


def others():
    """Peers that this Python has; which ones is the business of who installed it."""
    modules = {"pyfuse3": "pyfuse3", "mfusepy": "mfusepy"}
    return [
        name for name, module in modules.items() if importlib.util.find_spec(module)
    ]


@pytest.fixture(scope="module")
def trial(tmp_path_factory, fuse_available):
    """All rows, briefly, on ours and what is installed: the JSON, stderr, a chart."""
    del fuse_available  # skips where nothing can be mounted
    chart = tmp_path_factory.mktemp("chart") / "peers.svg"
    systems = ",".join(["fusesg-native", "fusesg-class", *others()])
    result = peers("--quick", "--json", "--plot", chart, "--systems", systems)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), result.stderr, chart


class TestTrial:
    def test_every_row_on_every_system(self, trial):
        result = trial[0]
        assert [row["name"] for row in result["rows"]] == ROW_NAMES
        names = [system["name"] for system in result["systems"]]
        assert names[:2] == ["fusesg-native", "fusesg-class"]
        assert not {*others()} - {*names} - {each["name"] for each in result["missing"]}
        for row in result["rows"]:
            assert row["failures"] == {}
            assert {*row["medians"]} == {*names}
            assert all(len(samples) == 1 for samples in row["samples"].values())
            assert all(seconds > 0 for seconds in row["medians"].values())

    def test_says_what_was_measured(self, trial):
        result = trial[0]
        assert result["machine"]["fusesg"] == fusesg.__version__
        assert result["machine"]["kernel"] == os.uname().release
        (run,) = result["runs"]
        assert "bench peers --quick --json" in run["command"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", run["started"])
        assert result["notes"][0] == "--quick: the times mean nothing"
        placements = {row["name"]: row["placement"] for row in result["rows"]}
        assert re.fullmatch(r"CPU \d+", placements["read 4K, depth 1"])
        assert placements["read 4K, depth 32"].startswith("whatever CPU")
        for system in result["systems"]:
            if system["name"] in others():
                assert re.search(r"libfuse [23]\.\d+", system["version"])

    def test_progress_does_not_spoil_the_json(self, trial):
        errors = trial[1]
        assert "Checking the bytes: " in errors
        assert "Measuring: " in errors

    def test_chart(self, trial):
        root = ET.fromstring(trial[2].read_text())
        text = "\n".join(root.itertext())
        for row in ROWS:
            assert row.name in text
        assert "fusesg-native" in text

    @pytest.mark.usefixtures("fuse_no_leaks")
    def test_table_and_png(self, trial, tmp_path):
        file, chart = tmp_path / "peers.json", tmp_path / "peers.png"
        file.write_text(json.dumps(trial[0]))
        shown = peers("--from", file, "--rows", "stat", "--plot", chart)
        assert (shown.returncode, shown.stderr) == (0, "")
        head, *lines = shown.stdout.strip().splitlines()
        assert re.match(r"\| +\| +\| fusesg-native \| fusesg-class \|", head)
        assert lines[1].startswith("| stat | k/s ")
        assert "How many times fusesg-native:" in lines
        # the name of a row is that row only
        assert "list and stat" not in shown.stdout
        assert chart.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


BAD = """\
import os, sys, threading
import fusesg
from fusesg.cli.bench.peers.programs._fusesg_class import Loopback

class Bad(Loopback):
{method}

fusesg.serve(Bad(sys.argv[1]), sys.argv[2])
{end}
"""
ROWS_OF_BAD = ("--rows", "read 4K, depth 1", "--rows", "rename", "--rows", "unlink")


@pytest.fixture
def bad(tmp_path, fuse_available):
    """Runs ours and "pyfuse3", which is a program that does something wrong."""
    del fuse_available

    def run(method="    pass", *arguments, end="", program=None):
        script = tmp_path / "bad.py"
        script.write_text(program or BAD.format(method=method, end=end))
        # asked for the version as for any Python; else it runs the script in place of
        # the program for pyfuse3
        python = tmp_path / "python"
        python.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = -c ]; then echo 1.2; else shift; '
            f'exec {sys.executable} {script} "$@"; fi\n'
        )
        python.chmod(0o755)
        # a source tree may be on our path only
        path = os.path.dirname(os.path.dirname(fusesg.__file__))
        result = peers(
            *("--quick", "--json", "--systems", "fusesg-native,pyfuse3", *ROWS_OF_BAD),
            *("--python", python, *arguments),
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": os.fspath(tmp_path)},
        )
        return result, json.loads(result.stdout) if result.stdout else None

    return run


def failures(found):
    """By row: what became of "pyfuse3"; and of ours nothing."""
    assert all(len(row["samples"]["fusesg-native"]) == 1 for row in found["rows"])
    assert not any("fusesg-native" in row["failures"] for row in found["rows"])
    return [row["failures"].get("pyfuse3") for row in found["rows"]]


@pytest.mark.usefixtures("fuse_no_leaks")
class TestBadPeer:
    def test_that_is_none(self, bad):
        result, found = bad()
        assert (result.returncode, failures(found)) == (0, [None] * 3), result.stderr
        assert found["systems"][1]["version"] == "1.2"

    def test_wrong_bytes(self, bad):
        result, found = bad(
            "    def read(self, path, handle, offset, size, ctx):\n"
            "        data = super().read(path, handle, offset, size, ctx)\n"
            "        return data if offset < 1 << 20 else bytes(len(data))\n"
        )
        assert result.returncode == 1
        assert failures(found) == ["wrong data"] * 3
        assert "FAILED: pyfuse3: wrong data: data is -rw" in result.stderr
        assert ", and behind it -rw" in result.stderr

    def test_wrong_bytes_written(self, bad):
        result, found = bad(
            "    def write(self, path, handle, offset, data, ctx):\n"
            "        os.pwrite(handle, bytes(len(data)), offset)\n"
            "        return len(data)\n",
            *("--rows", "write 4K, depth 1"),
        )
        assert result.returncode == 1
        assert failures(found) == ["wrong data"] * 4
        assert "(write 4K, depth 1)" in result.stderr

    def test_name_that_stays(self, bad):
        result, found = bad("    def unlink(self, path, ctx):\n        pass\n")
        assert result.returncode == 1
        assert failures(found) == ["wrong data"] * 3
        assert "unlink: behind it are 20 other names" in result.stderr

    def test_error(self, bad):
        result, found = bad(
            "    def rename(self, path, new_path, flags, ctx):\n"
            "        raise OSError(122, 'too much')\n"
        )
        assert result.returncode == 1
        assert failures(found) == [None, "error", None]
        assert "pyfuse3: error: [Errno 122] Disk quota exceeded: " in result.stderr

    def test_that_cannot_be_read(self, bad):
        result, found = bad(
            "    def readlink(self, path, ctx):\n"
            "        raise OSError(122, 'too much')\n"
        )
        assert result.returncode == 1
        assert failures(found) == ["error"] * 3
        assert "pyfuse3: error: [Errno 122] Disk quota exceeded: " in result.stderr

    def test_crash(self, bad):
        # while it is measured, after the check
        result, found = bad(
            "    renamed = 0\n"
            "    def rename(self, path, new_path, flags, ctx):\n"
            "        self.renamed += 1\n"
            "        if self.renamed > 30:\n"
            "            print('now', file=sys.stderr, flush=True)\n"
            "            os._exit(3)\n"
            "        super().rename(path, new_path, flags, ctx)\n"
        )
        assert result.returncode == 1
        assert failures(found) == ["crashed"] * 3
        assert "pyfuse3: crashed: ended with 3: now (rename)" in result.stderr

    def test_killed(self, bad):
        result, found = bad(
            "    def rename(self, path, new_path, flags, ctx):\n"
            "        os.kill(os.getpid(), 9)\n"
        )
        assert failures(found) == ["crashed"] * 3
        assert "killed by SIGKILL" in result.stderr

    def test_hang(self, bad):
        result, found = bad(
            "    def rename(self, path, new_path, flags, ctx):\n"
            "        threading.Event().wait()\n",
            *("--timeout", "3"),
        )
        assert result.returncode == 1
        assert failures(found) == ["hung"] * 3
        assert "pyfuse3: hung: no answer within 3.0 seconds (rename)" in result.stderr

    def test_end_that_never_comes(self, bad):
        end = "threading.Event().wait()"
        result, found = bad("    pass", "--timeout", "3", end=end)
        assert (result.returncode, failures(found)) == (0, [None] * 3)

    def test_not_mounted(self, bad):
        result, found = bad(program="import sys; sys.exit('no such luck')")
        assert result.returncode == 1
        assert failures(found) == ["not mounted"] * 3
        assert "ended before it was mounted: no such luck" in result.stderr

    def test_never_mounted(self, bad):
        program = "import threading; threading.Event().wait()"
        result, found = bad("", "--timeout", "3", program=program)
        assert result.returncode == 1
        assert failures(found) == ["not mounted"] * 3
        assert "not mounted within 3.0 seconds" in result.stderr


class TestMissing:
    def test_python(self, tmp_path):
        python = tmp_path / "python"
        python.write_text("#!/bin/sh\necho 'No module, alas' >&2; exit 1\n")
        python.chmod(0o755)
        result = peers("--systems", "fusepy", "--python", python)
        assert result.returncode == 1
        assert f"{python}: No module, alas" in result.stderr
        assert "apt install libfuse2; pip install fusepy" in result.stderr
        assert "Traceback" not in result.stderr

    def test_libfuse(self, tmp_path):
        result = peers("--systems", "libfuse-copy", env=NO_LIBFUSE)
        assert result.returncode == 1
        assert "no program passthrough_hp on PATH (build it from" in result.stderr
        for text, message in (
            ("echo 'libfuse3.so.4: cannot open' >&2; exit 127", "LD_LIBRARY_PATH has"),
            ("echo --help --debug", "too old"),
        ):
            program = tmp_path / "passthrough_hp"
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
            result = peers("--systems", "libfuse-copy", "--libfuse", program)
            assert result.returncode == 1
            assert message in result.stderr

    @pytest.mark.usefixtures("fuse_no_leaks", "fuse_available")
    def test_the_rest_goes_on(self):
        systems = ("--systems", "fusesg-native,libfuse-copy")
        result = peers("--quick", "--rows", "stat", *systems, env=NO_LIBFUSE)
        assert (result.returncode, result.stderr) == (0, "")
        first, *lines = result.stdout.splitlines()
        assert first == "libfuse-copy is missing: no program passthrough_hp on PATH"
        assert f"- {first}" in lines
        assert any(line.startswith("  to have it: build it") for line in lines)
        assert any(line.startswith("| stat ") for line in lines)

    @pytest.mark.parametrize("extra", ["fusepy", "mfusepy", "pyfuse3"])
    def test_extra(self, extra):
        text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
        assert re.search(rf'^peers = \[.*"{extra}>=', text, re.MULTILINE)
        assert extra in [system.name for system in SYSTEMS]


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["--systems", "fusesg-native,llfuse"],
                "--systems llfuse: they are fusesg-native, fusesg-class",
            ),
            (["--baseline", "tmpfs"], "--baseline tmpfs: they are fusesg-native,"),
            (["--rows", "sideways"], "no row has that in its name: read 4K, depth 1;"),
            (["--plot", "peers.pdf"], "the name must end in .png or .svg"),
            (["--cpu", "9999"], "--cpu 9999: expected none or a CPU"),
            (["--python", "/nope"], "--python /nope: not found"),
            (["--python", "/etc/passwd"], "--python /etc/passwd: cannot be executed"),
            (["--libfuse", "/nope"], "--libfuse /nope: not found"),
            (["--from", "/does/not/exist"], "/does/not/exist: No such file"),
        ],
    )
    def test_by_a_message(self, arguments, message):
        result = peers("--quick", *arguments)
        assert result.returncode == 1
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--rounds", "0"], "--rounds: 0 is less than 1"),
            (["--rounds", "x"], "--rounds: x is no whole number"),
            (["--seconds", "nan"], "--seconds: nan is no time to wait"),
            (["--seconds", "x"], "--seconds: x is no number of seconds"),
            (["--timeout", "-1"], "--timeout: -1 is no time to wait"),
        ],
    )
    def test_by_usage(self, arguments, message):
        result = peers(*arguments)
        assert result.returncode == 2
        assert message in result.stderr


class TestEnds:
    """It leaves nothing, however it ends."""

    @pytest.fixture
    def running(self, tmp_path, fuse_available):
        """Starts it, and waits until both systems are mounted and measured."""
        del fuse_available

        def start():
            bench = subprocess.Popen(
                [
                    sys.executable,
                    "-u",
                    *COMMAND[1:],
                    "--systems",
                    "fusesg-native,fusesg-class",
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "TMPDIR": os.fspath(tmp_path)},
            )
            assert bench.stdout is not None
            assert bench.stdout.readline().startswith("Checking the bytes")
            return bench

        return start

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.usefixtures("fuse_no_leaks")
    def test_interrupted(self, running, number):
        with running() as bench:
            directory, servers = directory_of(bench.pid), sessions_of(bench.pid)
            assert len(servers) == 2
            assert len(mounts_below(directory)) == 2
            bench.send_signal(number)
            bench.communicate(timeout=30)
        assert bench.returncode == (130 if number == signal.SIGINT else 143)
        assert not mounts_below(directory)
        assert not directory.exists()
        assert not any(Path(f"/proc/{pid}").exists() for pid in servers)

    @pytest.mark.usefixtures("fuse_no_leaks")
    def test_killed(self, running):
        with running() as bench:
            directory = directory_of(bench.pid)
            servers = [os.pidfd_open(pid) for pid in sessions_of(bench.pid)]
            bench.kill()
            bench.communicate(timeout=30)
        # the kernel ends them, the next run removes what was left
        for server in servers:
            assert select.select([server], [], [], 30)[0]
            os.close(server)
        assert (directory / "fusesg-native" / "source" / "data").exists()
        result = peers("--quick", "--systems", "fusesg-native", "--rows", "stat")
        assert result.returncode == 0
        assert f"a killed run has left {directory}: removed" in result.stderr
        assert not mounts_below(directory)
        assert not directory.exists()

    @pytest.mark.requires("root")
    @pytest.mark.usefixtures("fuse_no_leaks", "fuse_available")
    def test_dead_mount_is_removed(self, tmp_path, monkeypatch):
        with subprocess.Popen(["true"]) as ended:
            pass
        directory = tmp_path / f"fusesg-bench-peers-{ended.pid}-abc"
        mountpoint = directory / "fusepy" / "mnt"
        mountpoint.mkdir(parents=True)
        fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
        mount = ctypes.CDLL(None, use_errno=True).mount
        try:
            assert mount(b"fuse", os.fsencode(mountpoint), b"fuse", 0, options) == 0
        finally:
            os.close(fd)  # nobody serves it any more
        monkeypatch.setattr(tempfile, "tempdir", os.fspath(tmp_path))
        with pytest.raises(OSError, match="not connected"):
            os.listdir(mountpoint)
        assert f"a killed run has left {directory}: removed" in _files.remove_left()
        assert not mounts_below(directory)
        assert not directory.exists()

    def test_other_runs_are_left_alone(self, tmp_path, monkeypatch):
        directory = tmp_path / f"{_files.prefix()}abc"  # of this very process
        directory.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", os.fspath(tmp_path))
        assert not any(os.fspath(tmp_path) in line for line in _files.remove_left())
        assert directory.exists()


def directory_of(pid):
    (found,) = {
        Path(line.split()[1]).parents[1]
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if f"/fusesg-bench-peers-{pid}-" in line
    }
    return found


def mounts_below(directory):
    text = Path("/proc/self/mounts").read_text()
    return [line for line in text.splitlines() if f" {directory}/" in line]


def sessions_of(pid):
    """Its children that are sessions of their own: the servers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if os.getsid(int(child)) == int(child)]


def result_of(samples, **changes):
    """A result with one row of two systems."""
    row = RowResult("stat", "k/s", 0, "CPU 1", samples)
    systems = [SystemResult(name, name.title(), "1.0") for name in samples]
    result = Result({"kernel": "6.1"}, [{"started": "now"}], systems, [], [row])
    return dataclasses.replace(result, **changes)


class TestResults:
    def test_json_is_read_as_written(self, tmp_path):
        file = tmp_path / "result.json"
        result = result_of({"native": [1e-5], "class": [2e-5]}, notes=["busy"])
        file.write_text(_result.as_json(result))
        assert _result.load(file) == result

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{}]}'])
    def test_something_else(self, tmp_path, text):
        file = tmp_path / "result.json"
        file.write_text(text)
        with pytest.raises(CommandError, match="is no result of `fusesg bench peers"):
            _result.load(file)

    def test_samples_are_joined(self):
        first = result_of({"native": [1e-5, 2e-5]})
        second = result_of({"native": [6e-5], "class": [4e-5]})
        whole = _result.merged([first, second])
        assert [system.name for system in whole.systems] == ["native", "class"]
        (row,) = whole.rows
        assert row.samples == {"native": [1e-5, 2e-5, 6e-5], "class": [4e-5]}
        assert row.seconds("native") == 2e-5
        assert row.rate("class") == pytest.approx(25)
        assert len(whole.runs) == 2
        # and those that were joined are as they were
        assert first.rows[0].samples == {"native": [1e-5, 2e-5]}

    def test_rows_are_ordered(self):
        late = result_of({"native": [1e-5]})
        row = RowResult("read 1M", "MB/s", 1 << 20, "CPU 1", {"native": [1e-3]})
        early = result_of({"native": [1e-5]}, rows=[row])
        names = [row.name for row in _result.merged([late, early]).rows]
        assert names == ["read 1M", "stat"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"machine": {"kernel": "6.2"}}, "machines: kernel: 6.1 and 6.2"),
            ({"systems": [SystemResult("native", "", "2.0")]}, "native 1.0 and 2.0"),
            ({"rows": [RowResult("stat", "k/s", 0, "CPU 0")]}, "on CPU 1 and on CPU 0"),
            ({"rows": [RowResult("fly", "k/s", 0, "CPU 0")]}, "fly: no such row"),
        ],
    )
    def test_what_cannot_be_compared(self, changes, message):
        good = result_of({"native": [1e-5]})
        with pytest.raises(CommandError, match=message):
            _result.merged([good, result_of({"native": [1e-5]}, **changes)])


class TestTable:
    def test_rates_and_ratios(self):
        result = result_of({"native": [1e-5], "class": [4e-5]})
        result.rows[0].failures["pyfuse3"] = "hung"
        result.systems.append(SystemResult("pyfuse3", "Pyfuse3", "3.4"))
        assert list(_table.lines(result, "class"))[:9] == [
            "|      |     | native | class | pyfuse3 |",
            "| ---- | --- | -----: | ----: | ------: |",
            "| stat | k/s |    100 |  25.0 |    hung |",
            "",
            "How many times class:",
            "",
            "|      | native | class | pyfuse3 |",
            "| ---- | -----: | ----: | ------: |",
            "| stat |   4.00 |  1.00 |       - |",
        ]

    @pytest.mark.parametrize(
        ("number", "text"), [(1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234")]
    )
    def test_digits(self, number, text):
        assert _table.shown(number) == text

    @pytest.mark.parametrize(
        ("samples", "wanted", "said", "ratio"),
        [
            # of a library the fastest in the row
            ({"pyfuse3": 4e-5, "libfuse-copy": 1e-5, "libfuse-splice": 2e-5}, None,
             "libfuse, whichever is the fastest", "0.25"),
            ({"pyfuse3": 4e-5, "libfuse-copy": 1e-5, "libfuse-splice": 2e-5},
             "libfuse-splice", "libfuse-splice", "0.50"),
            ({"pyfuse3": 4e-5, "fusesg-native": 1e-5}, None, "pyfuse3", "1.00"),
            # which was not there
            ({"pyfuse3": 4e-5, "mfusepy": 8e-5}, "fusepy", "pyfuse3", "1.00"),
        ],
    )  # fmt: skip
    def test_baseline(self, samples, wanted, said, ratio):
        result = result_of({name: [seconds] for name, seconds in samples.items()})
        lines = list(_table.lines(result, wanted))
        assert f"How many times {said}:" in lines
        row = lines[lines.index(f"How many times {said}:") + 4]
        assert row.split("|")[2].strip() == ratio

    def test_rate(self):
        assert rate("MB/s", 1_000_000, 0.5) == 2.0
        assert rate("k/s", 4096, 0.0001) == 10.0


class TestLoads:
    @pytest.fixture
    def file(self, tmp_path):
        directory = tmp_path / "behind"
        directory.mkdir()
        (directory / "file").write_bytes(os.urandom(1 << 20))
        return directory / "file"

    @pytest.mark.parametrize("operation", ["read", "write"])
    def test_depth_counts_each_request(self, mounted, file, operation):
        with mounted(fusesg.Passthrough(file.parent)) as mount, Load(30) as load:
            path = os.path.join(mount.path, "file")
            job = Job(path, operation, 4096, shuffled=True, depth=8)
            # more than the file has, and no multiple of anything
            assert load.seconds(job, 1013) > 0
            counted = mount.statistics()["operations"][operation]["count"]
            assert counted == 1013

    def test_order(self, mounted, file):
        offsets = []

        class Recorded(fusesg.Passthrough):
            def read(self, inode, handle, offset, size, ctx):
                offsets.append(offset)
                return super().read(inode, handle, offset, size, ctx)

        with mounted(Recorded(file.parent)) as mount, Load(30) as load:
            path = os.path.join(mount.path, "file")
            load.seconds(Job(path, "read", 4096), 256)
            in_order, offsets[:] = offsets[:], []
            load.seconds(Job(path, "read", 4096, shuffled=True), 256)
        assert in_order == sorted(in_order)
        assert offsets != sorted(offsets)
        assert sorted(offsets) == in_order

    @pytest.mark.parametrize(
        ("answer", "message"), [(None, "Input/output error"), (b"x", "moved 1")]
    )
    def test_depth_and_errors(self, mounted, file, answer, message):
        class Wrong(fusesg.Passthrough):
            def read(self, inode, handle, offset, size, ctx):
                if offset < 65536:
                    return super().read(inode, handle, offset, size, ctx)
                if answer is None:
                    raise OSError(5, "no")
                return answer

        with mounted(Wrong(file.parent)) as mount, Load(30) as load:
            path = os.path.join(mount.path, "file")
            with pytest.raises(CommandError, match=message):
                load.seconds(Job(path, "read", 4096, depth=4), 64)

    def test_depth_without_o_direct(self, file):
        job = Job(os.fspath(file), "read", 4096, depth=4, direct=False)
        with Load() as load, pytest.raises(CommandError, match="need O_DIRECT"):
            load.seconds(job, 1)

    def test_answer_that_comes_late(self, tmp_path):
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        with Load(0.1) as load:
            # opening it waits for a writer
            with pytest.raises(NoAnswerError, match=r"within 0\.1 seconds"):
                load.seconds(Job(os.fspath(fifo), "read", 4096), 1)
            # waits for the reader, who then reads nothing, answers and ends
            os.close(os.open(fifo, os.O_WRONLY))

    @pytest.mark.parametrize("work", WORKS)
    def test_works(self, work, tmp_path):
        make_names(work, tmp_path, 20)
        with NamesLoad(30) as load:
            assert load.seconds(work, os.fspath(tmp_path), 20) > 0
        assert set(os.listdir(tmp_path)) == names_after(work, 20)

    @pytest.mark.parametrize("work", ["stat", "list"])
    def test_names_that_are_not_there(self, work, tmp_path):
        make_names(work, tmp_path, 10)
        with NamesLoad(30) as load, pytest.raises(CommandError, match=r"names|No such"):
            load.seconds(work, os.fspath(tmp_path), 20)

    def test_tree(self, tmp_path):
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "file").write_bytes(b"x")
        (tmp_path / "link").symlink_to("one")
        with NamesLoad(30) as load:
            tree = load.tree(os.fspath(tmp_path))
            assert list(tree) == ["one", "link", "one/file"]
            assert tree["link"] == "lrwxrwxrwx 3 one"
            assert re.fullmatch(r"-rw\S+ 1 [0-9a-f]{64}", tree["one/file"])
            (tmp_path / "one" / "file").write_bytes(b"y")
            assert load.tree(os.fspath(tmp_path))["one/file"] != tree["one/file"]
