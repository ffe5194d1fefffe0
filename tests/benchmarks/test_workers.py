"""Running benchmarks without asv: what hangs or dies costs itself only."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks._discovery import benchmarks
from benchmarks._workers import Worker

from benchmarks import quick

# Another /dev without fuse, for a process with a mount namespace of its own.
WITHOUT_FUSE = """
set -e
mount --make-rprivate /
mkdir "$1/dev"
mount -t tmpfs none "$1/dev"
for name in null zero urandom; do
    touch "$1/dev/$name"
    mount --bind "/dev/$name" "$1/dev/$name"
done
mount --rbind "$1/dev" /dev
shift
exec "$@"
"""

FAILING = """
timeout = 5
params = (["works", "raises", "dies", "old", "talks"],)

def track_case(self, case):
    if case == "raises":
        raise ValueError("on purpose")
    if case == "dies":
        os._exit(7)
    if case == "old":
        from benchmarks._settings import Unsupported
        raise Unsupported("no such thing yet")
    if case == "talks":
        print('{"samples": [2.0]}')
    return {"samples": [1.0, 1.0], "number": 1}
"""

LACKING = """
params = (["here", "absent"],)

def track_partly(self, case):
    from benchmarks._settings import NotHere
    if case == "absent":
        raise NotHere("no such device")
    return {"samples": [1.0], "number": 1}

def track_never(self, case):
    from benchmarks._settings import NotHere
    raise NotHere("no such device")
"""

HANGING = """
timeout = 0.5

def track_hang(self):
    threading.Event().wait()
"""


@pytest.fixture
def outcomes(suite):
    """Runs all cases of a suite in one worker, by the parameter."""

    def outcomes(name, code):
        suite(name, code)
        with Worker("quick", suites=[name]) as worker:
            return {
                benchmark.case_name(case): worker.run(benchmark, case)
                for benchmark in benchmarks([name])
                for case in range(len(benchmark.parameters))
            }

    return outcomes


def test_each_case_has_its_own_outcome(outcomes):
    found = outcomes("failing", FAILING)
    prefix = "failing.Some.track_case"
    assert found[f"{prefix}(works)"].samples == (1.0, 1.0)
    assert "ValueError: on purpose" in found[f"{prefix}(raises)"].error
    assert found[f"{prefix}(dies)"].error == "its process has ended with status 7"
    assert found[f"{prefix}(old)"].error == "no such thing yet"
    # what it prints is not taken for what it has measured
    assert found[f"{prefix}(talks)"].samples == (1.0, 1.0)


def test_benchmark_that_hangs_is_ended(outcomes):
    found = outcomes("hanging", HANGING)
    assert "it hangs" in found["hanging.Some.track_hang"].error


def test_last_line_counts(suite, capsys):
    name = suite("counted_suite", FAILING + HANGING.replace("timeout = 0.5", ""))
    status = quick.main("counted_suite", [name])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 benchmarks run, 2 failed"
    assert status == 1
    assert sum("FAILED" in line for line in lines) == 2
    assert any(re.search(r"track_case\(dies\)", line) for line in lines)


def test_benchmarks_that_work(capsys):
    assert quick.main("^start_up") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 benchmarks run, 0 failed"


def test_what_is_left_out_is_neither_run_nor_failed(suite, capsys):
    name = suite("lacking_suite", LACKING)
    assert quick.main("lacking_suite", [name]) == 0
    lines = capsys.readouterr().out.splitlines()
    verdicts = dict(line.split(maxsplit=1) for line in lines if ".Some." in line)
    assert verdicts == {
        "lacking_suite.Some.track_partly": "works, 1 of 2 cases left out",
        "lacking_suite.Some.track_never": "left out",
    }
    assert lines.count("    no such device") == 2
    assert lines[-2:] == ["1 benchmarks left out", "1 benchmarks run, 0 failed"]


@pytest.mark.requires("root", "program unshare")
def test_without_fuse_what_mounts_is_left_out(tmp_path):
    command = ["unshare", "--mount", "sh", "-c", WITHOUT_FUSE, "sh", tmp_path]
    command += [sys.executable, "-m", "benchmarks.quick", "^start_up|track_stat"]
    root = Path(__file__).parents[2]
    output = subprocess.check_output(command, text=True, cwd=root)
    lines = output.splitlines()
    verdicts = dict(line.split(maxsplit=1) for line in lines if ".track_" in line)
    assert verdicts == {
        "start_up.StartUp.track_import": "works",
        "start_up.StartUp.track_mount": "left out",
        "start_up.StartUp.track_unmount": "left out",
        "metadata.Directory.track_stat": "left out",
    }
    assert lines[-2:] == ["3 benchmarks left out", "1 benchmarks run, 0 failed"]


def test_all_names_are_different_and_lower_is_better():
    found = benchmarks()
    names = [
        one.case_name(case) for one in found for case in range(len(one.parameters))
    ]
    assert len(set(names)) == len(names) > 100
    assert {one.unit for one in found} == {"seconds", "bytes", "seconds per GiB"}
