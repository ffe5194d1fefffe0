"""The pytest plugin: what passes, and what fails with which words."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from fusesg.testing import _mounts, wait_until

CONFTEST = Path(__file__).parents[1] / "conftest.py"


def test_a_test_that_leaves_nothing_passes(run_pytest):
    outcome = run_pytest("""
def test_mount(fuse_mount):
    mount = fuse_mount(Hello())
    assert (Path(mount.path) / "hello").read_bytes() == b"Hello from Python\\n"

def test_two_mounts_and_a_place(fuse_mount, tmp_path):
    (tmp_path / "here").mkdir()
    first, second = fuse_mount(Hello()), fuse_mount(Hello(), tmp_path / "here")
    assert first.path != second.path == str(tmp_path / "here")
    assert os.listdir(first.path) == os.listdir(second.path) == ["hello"]

def test_options(fuse_mount):
    mount = fuse_mount(Hello(), config=fusesg.Config(noatime=True), source="mine")
    lines = Path("/proc/self/mounts").read_text().splitlines()
    (line,) = [line for line in lines if mount.path in line]
    assert line.startswith("mine ") and "noatime" in line

def test_that_unmounts_itself(fuse_mount):
    with fuse_mount(Hello()) as mount:
        assert mount.is_alive
    assert not mount.is_alive

def test_counts(fuse_mount):
    mount = fuse_mount(Hello(), entry_timeout=0)
    for _ in range(3):
        os.stat(mount.path + "/hello")
    wait_until(lambda: operation_counts(mount)["lookup"] == 3)
    assert operation_counts(mount)["write"] == 0

def test_client(fuse_client):
    client = fuse_client(Hello(), max_pages=1)
    with client.open_file("hello") as file:
        assert file.read() == b"Hello from Python\\n"
    assert operation_counts(client)["open"] == 1
""")
    assert "6 passed" in outcome.output, outcome.output
    assert outcome.returncode == 0


def test_what_is_left_behind_is_named(run_pytest, tmp_path):
    outcome = run_pytest("""
class WithHandles(Hello):
    def open(self, inode, flags, ctx):
        return "handle"

class Keeper(fusesg.Memory):
    def write(self, inode, handle, offset, data, ctx):
        kept.append(data)
        return super().write(inode, handle, offset, data, ctx)

def test_descriptor(fuse_mount):
    fuse_mount(Hello())
    kept.append(open(os.devnull))

def test_handle(fuse_mount, fuse_process):
    mount = fuse_mount(WithHandles())
    kept.append(os.open(f"{mount.path}/hello", os.O_RDONLY))

def test_thread(fuse_no_leaks):
    target = threading.Event().wait
    threading.Thread(target=target, name="stray", daemon=True).start()

def test_process(fuse_no_leaks):
    kept.append(subprocess.Popen(["sleep", "60"]))

def test_mount(fuse_no_leaks, tmp_path):
    kept.append(fusesg.mount(Hello(), tmp_path))

def test_written_data(fuse_mount):
    Path(fuse_mount(Keeper()).path, "file").write_text("text")

def test_open_file_of_a_client(fuse_client):
    fuse_client(Hello()).open("hello")

def test_nothing_of_that_is_there_any_more(fuse_mount, tmp_path):
    assert str(tmp_path.parent) not in Path("/proc/self/mountinfo").read_text()
    assert os.listdir(fuse_mount(Hello()).path) == ["hello"]

def test_end():
    kept[2].kill()
    kept[2].wait()
""")
    for test, words in {
        "test_descriptor": r"left behind: descriptor \d+ -> /dev/null",
        "test_handle": r"left behind: <fusesg.Mount .* 1 open handles",
        "test_thread": r"left behind: thread \d+: stray",
        "test_process": r"left behind: process \d+: sleep 60",
        "test_mount": rf"left behind: mount {tmp_path}/base/test_mount0",
        "test_written_data": r"left behind: <fusesg.Mount .* bytes of written data",
        "test_open_file_of_a_client": r"left behind: .*: 1 open files",
    }.items():
        assert outcome.of(test) == ["PASSED", "ERROR"], outcome.output
        assert re.search(words, outcome.report(test)), outcome.output
    assert outcome.of("test_nothing_of_that_is_there_any_more") == ["PASSED"]
    assert outcome.of("test_end") == ["PASSED"]
    assert _mounts.below(tmp_path) == []


def test_what_may_be_left_behind_is_ignored(run_pytest):
    stray = """
def stray(name):
    wait = threading.Event().wait
    threading.Thread(target=wait, name=name, daemon=True).start()

def test_by_the_configuration(fuse_mount):
    stray("metrics of another library")

def test_by_the_test(fuse_mount, fuse_no_leaks):
    fuse_no_leaks.ignore("thread .*: downloader")
    stray("downloader")
"""
    outcome = run_pytest(stray, fuse_ignored_leaks="thread .*: metrics")
    assert "2 passed" in outcome.output, outcome.output
    assert "ERROR" not in outcome.output


def test_the_log_is_part_of_the_test(run_pytest):
    outcome = run_pytest("""
def use(fuse_mount):
    with pytest.raises(OSError):
        Path(fuse_mount(Broken()).path, "hello").read_bytes()

def test_stray(fuse_mount):
    use(fuse_mount)

def test_expected(fuse_mount, fuse_log):
    fuse_log.expect("ValueError: broken")
    use(fuse_mount)

def test_waited_for(fuse_mount, fuse_log):
    use(fuse_mount)
    assert "Broken.read raised" in fuse_log.wait_for("ValueError: broken")
    assert len(fuse_log.messages) >= 1

def test_expected_in_vain(fuse_mount, fuse_log):
    fuse_log.expect("KeyError")
    fuse_mount(Hello())

def test_stray_of_a_client(fuse_client):
    with fuse_client(Broken()).open_file("hello") as file, pytest.raises(OSError):
        file.read()
""")
    for test, words in {
        "test_stray": "in the log, and not expected: Broken.read raised",
        "test_expected_in_vain": "nothing like 'KeyError' in the log",
        "test_stray_of_a_client": "in the log, and not expected: Broken.read raised",
    }.items():
        assert outcome.of(test) == ["PASSED", "ERROR"], outcome.output
        assert words in outcome.report(test)
    assert outcome.of("test_expected") == ["PASSED"], outcome.output
    assert outcome.of("test_waited_for") == ["PASSED"], outcome.output


def test_a_callback_that_hangs_fails_its_test_alone(run_pytest):
    outcome = run_pytest("""
@pytest.mark.fuse_time_limit(0.3)
def test_hangs(fuse_mount):
    Path(fuse_mount(Slow()).path, "hello").read_bytes()

@pytest.mark.fuse_time_limit(0.3)
def test_in_another_process(fuse_mount, fuse_process):
    path = fuse_mount(Slow()).path + "/hello"
    program = "import sys; open(sys.argv[1]).read()"
    assert fuse_process(program, path).finish().returncode

def test_limit_of_its_own(fuse_mount, fuse_log):
    path = fuse_mount(Slow(), slow_request_warning=0.1).path
    with open(path + "/hello") as file:
        reader = threading.Thread(target=file.read)
        reader.start()
        fuse_log.wait_for("has been served for 0")
        Slow.go_on.set()
        reader.join()

def test_goes_on(fuse_mount):
    assert os.listdir(fuse_mount(Hello()).path) == ["hello"]
""")
    for test in ("test_hangs", "test_in_another_process"):
        assert outcome.of(test) == ["FAILED"], outcome.output
        report = outcome.report(test)
        assert "hung: read (request " in report
        assert "the mount was aborted" in report
        assert re.search(r"^Slow\.read, in thread", report, re.MULTILINE)
        assert "self.go_on.wait()" in report
        assert "left behind" not in report
    assert outcome.of("test_limit_of_its_own") == ["PASSED"], outcome.output
    assert outcome.of("test_goes_on") == ["PASSED"], outcome.output


def test_async_file_systems(run_pytest):
    outcome = run_pytest("""
import asyncio

class Async(Hello):
    async def getattr(self, inode, handle, ctx):
        await self.pause()
        return Hello.getattr(self, inode, handle, ctx)
    async def pause(self):
        await asyncio.sleep(0)

class Hanging(Async):
    async def pause(self):
        await asyncio.get_running_loop().create_future()

def test_a_loop_of_the_mount(fuse_mount):
    assert os.listdir(fuse_mount(Async()).path) == ["hello"]

def test_the_running_loop(fuse_mount):
    async def use():
        async with fuse_mount(Async()) as mount:
            assert mount.loop is asyncio.get_running_loop()
            return await asyncio.to_thread(os.listdir, mount.path)
    assert asyncio.run(use()) == ["hello"]

def test_not_entered(fuse_mount):
    async def make():
        fuse_mount(Async())
    asyncio.run(make())

def test_left_mounted(fuse_mount):
    async def make():
        mount = await fuse_mount(Async())
        await asyncio.to_thread(os.stat, mount.path)
    asyncio.run(make())

@pytest.mark.fuse_time_limit(0.3)
def test_hangs(fuse_mount):
    os.stat(fuse_mount(Hanging()).path)
""")
    for test in ("a_loop_of_the_mount", "the_running_loop", "not_entered"):
        assert outcome.of(f"test_{test}") == ["PASSED"], outcome.output
    assert outcome.of("test_hangs") == ["FAILED"], outcome.output
    report = outcome.report("test_hangs")
    assert re.search("hung: getattr .* the mount was aborted", report)
    assert "Hanging.getattr, awaited:" in report
    assert "in pause" in report
    assert "create_future()" in report


def test_a_test_that_fails_is_not_blamed_for_what_it_left(run_pytest, tmp_path):
    outcome = run_pytest("""
def test_fails(fuse_mount):
    kept.append(open(fuse_mount(Hello()).path + "/hello"))
    assert kept == []
""")
    assert outcome.of("test_fails") == ["FAILED"], outcome.output
    assert "assert kept == []" in outcome.report("test_fails")
    assert _mounts.below(tmp_path) == []


def test_processes_use_a_mount_and_are_killed(run_pytest):
    outcome = run_pytest("""
READ = '''
import signal, sys
file = open(sys.argv[1])
print(file.read(), end="", flush=True)
signal.pause()
'''

def test_reader(fuse_mount, fuse_process):
    reader = fuse_process(READ, fuse_mount(Hello()).path + "/hello")
    kept.append(reader)
    assert reader.read_line() == "Hello from Python"

def test_it_is_gone():
    assert kept[0].returncode < 0

def test_hangs(fuse_process):
    fuse_process("import threading; threading.Event().wait()").finish(0.5)

def test_file(fuse_process, tmp_path):
    (tmp_path / "program.py").write_text("import sys; print(*sys.argv[1:])")
    result = fuse_process(tmp_path / "program.py", 1, "a", stderr=None).finish()
    assert (result.stdout, result.stderr) == ("1 a\\n", None)
""")
    assert outcome.of("test_reader") == ["PASSED"], outcome.output
    assert outcome.of("test_it_is_gone") == ["PASSED"]
    assert outcome.of("test_hangs") == ["FAILED"]
    assert "the process hung" in outcome.report("test_hangs")
    assert "program-0.py" in outcome.report("test_hangs")
    assert outcome.of("test_file") == ["PASSED"], outcome.output


KILLED = """
def test_is_killed(fuse_mount):
    mount = fuse_mount(Hello())
    print("mounted", flush=True)
    threading.Event().wait()
"""


def wait_for_mount(run, directory):
    # its line comes when the mount is complete, unlike the mount itself
    while "mounted" not in run.read_line():
        assert run.poll() is None
    (path,) = _mounts.below(directory)
    return path


def test_a_run_that_is_killed_leaves_no_mount(start_pytest, tmp_path):
    run = start_pytest(KILLED, "-s")
    wait_for_mount(run, tmp_path)
    run.send_signal(signal.SIGKILL)
    wait_until(lambda: not _mounts.below(tmp_path))


@pytest.mark.requires("root")
def test_the_next_run_takes_away_what_is_left(start_pytest, run_pytest, tmp_path):
    run = start_pytest(KILLED, "-s")
    path = wait_for_mount(run, tmp_path)
    # its watcher is killed first: it would do what is tested here
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(run.pid) and os.fsencode(path) in _command(process):
            os.kill(int(process.name), signal.SIGKILL)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert _mounts.below(tmp_path) == [path]
    outcome = run_pytest(
        """
def test_mounts(fuse_mount):
    fuse_mount(Hello())
""",
        "--basetemp",
        os.fspath(tmp_path / "another"),
    )
    assert outcome.of("test_mounts") == ["PASSED"], outcome.output
    assert _mounts.below(tmp_path) == []


def _command(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


NO_MOUNTS = """
from unittest import mock

@pytest.fixture(scope="session", autouse=True)
def no_device():
    error = PermissionError(1, "no device here")
    with mock.patch("fusesg.testing._mounts.mount", side_effect=error):
        yield

def test_mounts(fuse_mount):
    fuse_mount(Hello())

def test_client(fuse_client):
    assert fuse_client(Hello()).listdir("/") == ["hello"]
"""


def test_where_nothing_can_be_mounted_tests_are_skipped(run_pytest):
    outcome = run_pytest(NO_MOUNTS)
    assert "1 passed, 1 skipped" in outcome.output, outcome.output
    assert "nothing can be mounted here: [Errno 1] no device here" in outcome.output


def test_unless_mounts_are_required(run_pytest):
    outcome = run_pytest(NO_MOUNTS, fuse_mounts_required="true")
    assert "1 passed, 1 error" in outcome.output, outcome.output
    assert "nothing can be mounted here: [Errno 1] no device here" in outcome.output


def test_a_project_that_does_not_use_it_does_not_pay(run_python, tmp_path):
    program = """
import sys
import pytest

class Look:
    def pytest_unconfigure(self):
        print("loaded:", sorted(name for name in sys.modules if "fusesg" in name))

open("test_nothing.py", "w").write("def test_nothing(tmp_path): pass")
sys.exit(pytest.main(
    ["-p", "pytest_fusesg", "-p", "no:cacheprovider", "-c", "/dev/null",
     "--basetemp", "base", "test_nothing.py"],
    plugins=[Look()],
))
"""
    result = run_python(program, cwd=tmp_path)
    assert "1 passed" in result.stdout
    assert "loaded: ['pytest_fusesg']" in result.stdout


def test_our_own_tests_are_skipped_only_for_a_reason(run_pytest, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "conftest.py").write_bytes(CONFTEST.read_bytes())
    outcome = run_pytest("""
@pytest.mark.requires("linux 5.4", "program sh")
def test_there():
    pass

@pytest.mark.requires("program sh", "program no-such-program")
def test_missing():
    pass

@pytest.mark.requires("linux 99.1")
def test_too_old():
    pass
""")
    assert "1 passed, 2 skipped" in outcome.output, outcome.output
    assert "needs the program no-such-program" in outcome.output
    assert "needs Linux 99.1, not " in outcome.output
