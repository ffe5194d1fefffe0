"""Running benchmarks without asv: what hangs or dies costs itself only."""

import re

import pytest
from benchmarks._discovery import benchmarks
from benchmarks._workers import Worker

from benchmarks import quick

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


def test_all_names_are_different_and_lower_is_better():
    found = benchmarks()
    names = [
        one.case_name(case) for one in found for case in range(len(one.parameters))
    ]
    assert len(set(names)) == len(names) > 100
    assert {one.unit for one in found} == {"seconds", "bytes", "seconds per GiB"}
