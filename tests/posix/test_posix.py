"""The POSIX cases on plain directories, on passthroughs and on every example.

A test is a group of cases on a mount of its own, with a directory for each case.
"""

from __future__ import annotations

import errno
import importlib
import inspect
from pathlib import Path

import pytest

from .targets import TARGETS, WRITABLE

OWN_PROCESS = {"mapping"}
"""Groups whose cases must not run in the process that serves."""

GROUPS = [(target, group) for target in TARGETS for group in target.groups]


def _cases(group):
    """The cases of a group: its public functions, in the order they are written."""
    module = importlib.import_module(f".cases.{group}", __package__)
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and not name.startswith("_")
    }


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("target", "group"),
    GROUPS,
    ids=[f"{target.name}-{group}" for target, group in GROUPS],
)
def test_group(target, group, tmp_path, mountpoint, mounted, run_python, subtests):
    source = tmp_path / "source"
    source.mkdir()
    with target.open(source, mountpoint, mounted):
        for name, case in _cases(group).items():
            if f"{group}.{name}" in target.without:
                continue
            directory = mountpoint
            if group in WRITABLE:
                directory = mountpoint / name
                directory.mkdir()
            with subtests.test(case=name):
                if group in OWN_PROCESS:
                    program = Path(__file__).with_name("run_case.py")
                    child = run_python(program, group, name, directory)
                    assert child.returncode == 0, child.stderr
                else:
                    _run(case, directory, oracle=target.name == "backing")


def _run(case, directory, *, oracle):
    try:
        case(directory)
    except OSError as error:
        if oracle and error.errno == errno.EOPNOTSUPP:
            pytest.skip(f"the file system of {directory} cannot: {error}")
        raise


def test_cases_that_do_not_apply_exist():
    for target in TARGETS:
        for name in target.without:
            group, _, case = name.partition(".")
            assert group in WRITABLE
            assert case in _cases(group)
