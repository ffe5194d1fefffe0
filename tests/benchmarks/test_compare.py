"""What `make bench-compare` says, and with which status it ends."""

import json

import pytest
from benchmarks.compare import __main__ as command
from benchmarks.compare import _table
from benchmarks.compare._cases import Case, chosen
from benchmarks.compare._measure import Build, Measured, measure
from benchmarks.compare._statistics import Verdict

BASE, HEAD = "b" * 40, "h" * 40
THRESHOLD = 0.05


def rows(*cases, suspects=()):
    found = {Case(name): measured for name, measured in cases}
    return _table.rows(found, [Case(name) for name in suspects], THRESHOLD)


def test_only_what_was_measured_again_can_be_an_alarm():
    slower = Measured(pairs=[(1.0, 1.2)] * 20)
    assert rows(("some", slower))[0].verdict is Verdict.UNSURE
    assert rows(("some", slower), suspects=["some"])[0].verdict is Verdict.SLOWER


def test_few_pairs_are_enough_to_be_the_same():
    row = rows(("some", Measured(pairs=[(1.0, 1.01), (1.0, 0.99)] * 3)))[0]
    assert row.verdict is Verdict.SAME
    assert row.comparison.pairs == 6


def test_benchmark_that_works_no_more_is_told():
    broken = Measured(problems=[None, "Traceback\nValueError: on purpose"])
    new = Measured(problems=["AttributeError: not there yet", None])
    table = rows(("broken", broken), ("new", new))
    assert [row.is_broken for row in table] == [True, False]
    text = "\n".join(_table.lines(table, BASE, HEAD, THRESHOLD))
    assert "BROKEN: broken  head: ValueError: on purpose" in text
    assert "base: AttributeError: not there yet" in text


def test_table_tells_all():
    table = rows(
        ("slow", Measured(pairs=[(1.0, 1.2)] * 20)),
        ("fast", Measured(pairs=[(1.0, 0.5)] * 20)),
        ("same", Measured(pairs=[(1.0, 1.0)] * 20)),
        ("nothing", Measured(pairs=[(0.0, 1.0)] * 20)),
        suspects=["slow", "fast"],
    )
    lines = list(_table.lines(table, BASE, HEAD, THRESHOLD))
    assert lines[0].startswith("time of hhhhhhhhhh against bbbbbbbbbb")
    assert "slow      1.200  [1.200, 1.200]    20  slower" in lines
    assert "nothing  too little to be compared" in lines
    assert [line for line in lines if line.endswith(" 1")] == [
        "slower  1",
        "faster  1",
        "same    1",
    ]
    assert lines[-1].startswith("SLOWER: slow ")
    assert json.loads(json.dumps([row.as_dict() for row in table]))[0]["ratio"] == 1.2


def test_cases_have_names_to_choose_by():
    every = chosen(".")
    assert {case.name for case in chosen(None)} < {case.name for case in every}
    names = {case.name for case in chosen("packer")}
    assert "rust_micro.packer/reply/16_buffers" in names
    assert all("packer" in name for name in names)
    assert Case("rust_micro.iovec/pack/1/aligned").rust_name == "iovec/pack/1/aligned"


def test_builds_are_measured_by_turns(tmp_path):
    (case,) = chosen(r"^dispatch.*read\(inode\)$")
    # an empty directory in front: both have the fusesg that is installed
    builds = [Build(commit, tmp_path, []) for commit in (BASE, HEAD)]
    measured = measure("some", [case], *builds, pairs=2)[case]
    assert measured.problems == [None, None]
    assert len(measured.pairs) == 2


def test_deadline_ends_it_but_not_before_it_is_enough(tmp_path):
    case = Case("rust_micro.none/such")
    builds = [Build(commit, tmp_path, []) for commit in (BASE, HEAD)]
    found = measure("some", [case], *builds, pairs=9, deadline=0, enough=1)[case]
    assert all("no such benchmark" in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["no-such-commit", "HEAD"], "no-such-commit: git knows no such commit"),
        (["HEAD", "no-such-commit"], "no-such-commit: git knows no such commit"),
        (["--bench", "no such name", "HEAD", "HEAD"], "no benchmark has no such name"),
    ],
)
def test_what_cannot_be_compared_has_its_own_status(arguments, problem, capsys):
    if not (command.ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert command.main(arguments) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--pairs", "5"], ["--threshold", "0"], ["--threshold", "x"]]
)
def test_options_that_make_no_sense(arguments, capsys):
    with pytest.raises(SystemExit):
        command.main([*arguments, "HEAD", "HEAD"])
    assert "error:" in capsys.readouterr().err
