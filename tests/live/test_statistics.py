"""What is counted, and `fusesg statistics`, which tells it from another process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusesg
from fusesg.cli import main
from fusesg.cli.live import _channel
from fusesg.cli.live._numbers import Durations, Interval
from fusesg.testing import wait_until

from .conftest import Words, nobody

READS = 40


def use(directory):
    """A lookup, reads, and a lookup that fails."""
    with open(f"{directory}/file", "rb", buffering=0) as file:
        for _ in range(READS):
            assert os.pread(file.fileno(), 100, 0) == b"words"
    with pytest.raises(PermissionError):
        os.stat(f"{directory}/x")


def settled(mount):
    """The numbers once all that was answered has been timed, too."""
    wait_until(lambda: mount.statistics()["in_flight"] == 0)
    return mount.statistics()


def statistics_of(path, capsys):
    assert main(["statistics", os.fspath(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


class TestCounting:
    def test_counts_are_exact(self, mounted):
        with mounted(Words(), direct_io=True, entry_timeout=60) as mount:
            use(mount.path)
            operations = settled(mount)["operations"]
        read, lookup = operations["read"], operations["lookup"]
        assert (read["count"], read["errors"], read["bytes"]) == (READS, 0, READS * 5)
        assert (lookup["count"], lookup["errors"]) == (2, 1)
        assert read["latency"]["timed"] == READS
        assert read["callback"]["timed"] == read["gil_wait"]["timed"] == READS
        assert lookup["latency"]["timed"] == 2

    def test_times_are_consistent(self, mounted):
        with mounted(Words(), direct_io=True) as mount:
            use(mount.path)
            operations = settled(mount)["operations"]
        for operation in operations.values():
            for times in (operation[key] for key in operation if key in TIMES):
                assert 0 <= times["p50"] <= times["p90"] <= times["p99"] <= times["max"]
                assert times["max"] <= times["seconds"] or times["timed"] < 2
                counts = [count for _, count in times["buckets_ns"]]
                assert sum(counts) == times["timed"]
        read = operations["read"]
        python = read["callback"]["seconds"] + read["gil_wait"]["seconds"]
        assert 0 < python < read["latency"]["seconds"]

    def test_async_methods_are_timed_to_their_end(self, mounted):
        class Slow(Words):
            async def read(self, inode, handle, offset, size, ctx):
                await released.wait()
                return b"words"[offset : offset + size]

        released = None
        with mounted(Slow(), direct_io=True) as mount:

            async def event():
                return asyncio.Event()

            def in_loop(coroutine):
                return asyncio.run_coroutine_threadsafe(coroutine, mount.loop).result()

            released = in_loop(event())
            reader = threading.Thread(target=Path(mount.path, "file").read_bytes)
            reader.start()
            wait_until(lambda: mount.statistics()["python"]["event_loop"]["tasks"])
            seen = time.monotonic()
            oldest = mount.statistics()["oldest"]
            assert [request["operation"] for request in oldest] == ["read"]
            waited = time.monotonic() - seen
            mount.loop.call_soon_threadsafe(released.set)
            reader.join()
            read = settled(mount)["operations"]["read"]
        assert read["callback"]["timed"] == read["latency"]["timed"] == read["count"]
        assert read["gil_wait"]["timed"] == 0
        assert waited <= read["callback"]["max"] <= read["latency"]["max"]

    @pytest.mark.parametrize("raising", [False, True])
    @pytest.mark.parametrize("negative_timeout", [0, 60])
    def test_a_name_that_does_not_exist_is_no_error(
        self, mounted, raising, negative_timeout
    ):
        class Raising(Words):
            def lookup(self, parent, name, ctx):
                if name == "missing" and raising:
                    raise FileNotFoundError
                return super().lookup(parent, name, ctx)

        with mounted(Raising(), negative_timeout=negative_timeout) as mount:
            with pytest.raises(FileNotFoundError):
                os.stat(f"{mount.path}/missing")
            with pytest.raises(PermissionError):
                os.stat(f"{mount.path}/x")
            lookup = settled(mount)["operations"]["lookup"]
        assert (lookup["count"], lookup["errors"]) == (2, 1)

    def test_what_is_answered_in_its_place_and_runs_on(self, mounted, capsys):
        began, released = threading.Event(), threading.Event()

        class Slow(Words):
            def read(self, inode, handle, offset, size, ctx):
                began.set()
                released.wait()
                return b"words"

        with mounted(Slow(), direct_io=True, request_timeout=0.1) as mount:
            try:
                with pytest.raises(TimeoutError):
                    Path(mount.path, "file").read_bytes()
                # the RELEASE that follows
                wait_until(lambda: mount.statistics()["in_flight"] == 0)
                numbers = mount.statistics()
                assert main(["top", mount.path, "--once", "--interval", "0.1"]) == 0
            finally:
                released.set()
            wait_until(lambda: mount.statistics()["given_up"]["running"] == 0)
            late = mount.statistics()
        read = numbers["operations"]["read"]
        assert (read["count"], read["errors"], read["bytes"]) == (1, 1, 0)
        assert read["latency"]["timed"] == 1
        assert (numbers["in_flight"], numbers["oldest"]) == (0, [])
        assert numbers["given_up"]["running"] == 1
        (oldest,) = numbers["given_up"]["oldest"]
        assert (oldest["operation"], oldest["pid"]) == (
            "read",
            threading.get_native_id(),
        )
        assert oldest["seconds"] >= 0.1
        assert "0 in flight, 1 answered runs on (read, " in capsys.readouterr().out
        # when the callback returns nothing is counted again
        assert late["given_up"] == {"running": 0, "oldest": []}
        read = late["operations"]["read"]
        assert (read["count"], read["errors"], read["bytes"]) == (1, 1, 0)
        assert read["latency"]["timed"] == 1

    def test_native_operations_have_no_callbacks(self, mounted, source):
        (source / "file").write_bytes(b"words")
        with mounted(fusesg.Passthrough(source)) as mount:
            Path(mount.path, "file").read_bytes()
            numbers = settled(mount)
        assert "callback" not in numbers["operations"]["read"]
        assert numbers["filesystem"] == "Passthrough"

    def test_buffers_and_pipes_have_a_peak(self, mounted, source):
        (source / "file").write_bytes(bytes(1 << 20))
        with mounted(fusesg.Passthrough(source), direct_io=True) as mount:
            Path(mount.path, "file").read_bytes()
            core = settled(mount)["core"]
        pipes = core["copier"]["pipes"]
        assert pipes["lent"] == 0
        assert pipes["lent_peak"] >= 1
        assert core["pool"]["bytes_peak"] >= core["pool"]["bytes_resident"]


TIMES = ("latency", "gil_wait", "callback")


class TestCommand:
    def test_another_process_sees_the_same(self, mounted, capsys, run_python):
        with mounted(Words(), direct_io=True, entry_timeout=60) as mount:
            program = "import os, sys; os.stat(sys.argv[1])"
            assert run_python(program, f"{mount.path}/file").returncode == 0
            use(mount.path)
            own = settled(mount)
            command = [sys.executable, "-m", "fusesg", "statistics", mount.path]
            told = json.loads(subprocess.check_output([*command, "--json"]))
            table = subprocess.check_output(command, text=True)
        assert told["operations"] == own["operations"]
        assert (told["pid"], told["mountpoint"]) == (os.getpid(), mount.path)
        assert told["operations"]["lookup"]["count"] == 2
        rows = {line.split()[0]: line.split() for line in table.splitlines()[5:]}
        assert rows["read"][1:5] == ["40", "0", "200", "B"]
        assert rows["lookup"][1:3] == ["2", "1"]

    def test_python_and_rust_agree_on_quantiles(self, mounted, capsys):
        with mounted(Words(), direct_io=True) as mount:
            use(mount.path)
            numbers = settled(mount)
        for operation in Interval.between(None, numbers).operations:
            for key in TIMES:
                told = numbers["operations"][operation.name].get(key)
                if told and told["timed"]:
                    found = getattr(operation, key)
                    for name, quantile in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
                        assert found.quantile(quantile) == pytest.approx(told[name])
                    assert found.longest == told["max"]

    def test_it_answers_while_a_callback_hangs_with_the_gil(
        self, start_python, mountpoint, capsys
    ):
        server = start_python(HANGS, mountpoint, stdin=subprocess.PIPE)
        assert server.read_line() == "mounted"
        reader = start_python("import sys; open(sys.argv[1])", mountpoint / "file")
        assert server.read_line() == "hangs"
        numbers = statistics_of(mountpoint, capsys)
        assert numbers["in_flight"] >= 1
        oldest = numbers["oldest"][0]
        assert (oldest["operation"], oldest["pid"]) == ("lookup", reader.pid)
        assert main(["top", os.fspath(mountpoint), "--once", "--interval", "0.1"]) == 0
        assert "1 in flight (oldest: lookup, " in capsys.readouterr().out
        server.stdin.write("x")
        server.stdin.flush()
        assert reader.finish().returncode == 0

    def test_a_server_that_is_stopped(
        self, start_python, mountpoint, capsys, monkeypatch
    ):
        server = start_python(HANGS, mountpoint, stdin=subprocess.PIPE)
        assert server.read_line() == "mounted"
        server.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, server.pid, os.WSTOPPED)
        monkeypatch.setattr(_channel, "PATIENCE", 0.2)
        try:
            assert main(["statistics", os.fspath(mountpoint)]) == 1
        finally:
            server.send_signal(signal.SIGCONT)
        said = capsys.readouterr().err
        assert f"process {server.pid} serves it, and has not answered" in said

    @pytest.mark.requires("root")
    def test_a_server_that_is_gone(self, unserved, capsys):
        assert main(["statistics", unserved.path]) == 1
        assert "its server has died (`fusesg umount --lazy" in capsys.readouterr().err
        assert main(["top", unserved.path]) == 1
        assert "its server has died" in capsys.readouterr().err

    @pytest.mark.requires("root")
    def test_an_impostor_is_not_asked(self, unserved, capsys):
        minor = unserved.device.partition(":")[2]
        with socket.socket(socket.AF_UNIX) as impostor:
            with nobody():
                impostor.bind(f"\0fusesg/{minor}")
                impostor.listen()
            assert main(["statistics", unserved.path]) == 1
            assert "nobody answers for" in capsys.readouterr().err
            asked, _ = impostor.accept()
            with asked:
                assert asked.recv(1) == b""

    @pytest.mark.requires("root")
    def test_others_have_no_permission(self, start_python, mountpoint, capsys):
        server = start_python(HANGS, mountpoint, stdin=subprocess.PIPE)
        assert server.read_line() == "mounted"
        with nobody():
            assert main(["statistics", os.fspath(mountpoint)]) == 1
        said = capsys.readouterr().err
        assert "no permission: only root and the user with the number 0 may ask" in said

    @pytest.mark.requires("root")
    def test_others_are_refused_before_they_ask(self, start_python, mountpoint):
        server = start_python(HANGS, mountpoint, stdin=subprocess.PIPE)
        assert server.read_line() == "mounted"
        minor = os.minor(os.stat(mountpoint).st_dev)
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                silent = stack.enter_context(socket.socket(socket.AF_UNIX))
                silent.settimeout(20)
                with nobody():
                    silent.connect(f"\0fusesg/{minor}")
                answer = b""
                while piece := silent.recv(4096):
                    answer += piece
                assert b"403 Forbidden" in answer
            assert main(["statistics", os.fspath(mountpoint)]) == 0

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("/proc", "/proc is no mount of fusesg but of type proc"),
            ("/nowhere", "/nowhere does not exist"),
            ("/etc", "/etc is not a mount point; see"),
        ],
    )
    @pytest.mark.parametrize("command", ["statistics", "top"])
    def test_what_is_no_mount_of_ours(self, capsys, command, path, message):
        assert main([command, path]) == 1
        assert capsys.readouterr().err.startswith(f"fusesg {command}: {message}")

    def test_all_mounts(self, fuse_mount, tmp_path, capsys):
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        paths = [fuse_mount(Words(), tmp_path / name).path for name in "ab"]
        main(["statistics", "--json"])  # 1, if somebody else's mount is broken
        assert set(json.loads(capsys.readouterr().out)) >= set(paths)
        assert main(["top", "--once", "--interval", "0.1"]) == 0
        shown = capsys.readouterr().out
        assert all(f"\n{path} " in shown for path in paths)

    def test_a_mount_that_ends_meanwhile_is_left_out(
        self, fuse_mount, tmp_path, capsys, monkeypatch
    ):
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        staying, ending = (fuse_mount(Words(), tmp_path / name) for name in "ab")
        paths = {staying.path, ending.path}
        found = [each for each in _channel.find_all() if each.path in paths]
        ending.unmount()
        monkeypatch.setattr(_channel, "find_all", lambda: found)
        assert main(["statistics", "--json"]) == 0
        told = capsys.readouterr()
        assert set(json.loads(told.out)) == {staying.path}
        assert told.err == ""
        assert main(["top", "--once", "--interval", "0.1"]) == 0
        assert ending.path not in capsys.readouterr().out

    def test_a_file_is_replaced(self, mounted, tmp_path, capsys):
        target = tmp_path / "numbers.json"
        target.write_text("before")
        with mounted(Words()) as mount:
            before = target.stat().st_ino
            arguments = ["statistics", mount.path, "--json", "--output", str(target)]
            assert main(arguments) == 0
            assert json.loads(target.read_text())["mountpoint"] == mount.path
            assert target.stat().st_ino != before
            assert target.stat().st_mode & 0o777 == 0o644
            arguments[-1] = str(tmp_path / "none" / "file")
            assert main(arguments) == 1
        assert "none/file: No such file or directory" in capsys.readouterr().err
        assert list(tmp_path.glob(".numbers*")) == []


def test_a_forked_child_does_not_keep_the_socket(start_python, mountpoint):
    server = start_python(FORKS, mountpoint, stdin=subprocess.PIPE)
    minor, child = server.read_line().split()
    assert child
    server.wait()
    with socket.socket(socket.AF_UNIX) as asking, pytest.raises(ConnectionRefusedError):
        asking.connect(f"\0fusesg/{minor}")


class TestDurations:
    @staticmethod
    def counted(times):
        """What a mount tells of these times, in nanoseconds."""
        buckets: dict[int, int] = {}
        for each in times:
            octave = max(each, 1).bit_length() - 1
            width = 1 << max(octave - 2, 0)
            end = each // width * width + width
            buckets[end] = buckets.get(end, 0) + 1
        longest = max(times, default=0) / 1e9
        return {
            "buckets_ns": [list(bucket) for bucket in buckets.items()],
            "max": longest,
        }

    @given(
        before=st.lists(st.integers(4, 1 << 38)),
        after=st.lists(st.integers(4, 1 << 38), min_size=1),
        quantile=st.floats(0, 1),
    )
    def test_the_time_in_between(self, before, after, quantile):
        between = Durations.between(self.counted(before), self.counted(before + after))
        assert between.count == len(after)
        exact = sorted(after)[max(1, -int(-len(after) * quantile // 1)) - 1] / 1e9
        assert between.quantile(quantile) == pytest.approx(exact, rel=1 / 8)
        assert between.longest == pytest.approx(max(after) / 1e9, rel=1 / 8)

    def test_nothing_in_between(self):
        same = self.counted([5, 6])
        assert Durations.between(same, same).quantile(0.5) is None
        assert Durations.between(same, same).longest is None
        assert Durations.between(None, None).count == 0

    def test_another_mount_at_the_same_place(self):
        old = {"seconds": 100.0, "operations": {"read": {"count": 9}}}
        new = {"seconds": 2.0, "operations": {}}
        assert Interval.between(old, new).seconds == 2.0


HANGS = """
import ctypes, stat, sys
import fusesg

class Hangs(fusesg.Filesystem):
    def getattr(self, inode, handle, ctx):
        return fusesg.Attributes(inode=inode, mode=stat.S_IFDIR | 0o755)

    def lookup(self, parent, name, ctx):
        print("hangs", flush=True)
        # with the GIL, until something comes from the test
        ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(1), 1)
        attributes = fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o644)
        return fusesg.Entry(attributes)

fusesg.serve(Hangs(), sys.argv[1], on_ready=lambda _: print("mounted", flush=True))
"""

FORKS = """
import os, signal, sys
import fusesg

mount = fusesg.mount(fusesg.Memory(), sys.argv[1])
minor = os.minor(os.stat(mount.path).st_dev)
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
print(minor, child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
