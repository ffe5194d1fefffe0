"""What type checkers say about programs that use fusesg.

`accepted/` has correct programs, of which no checker complains. In `refused/` each line
that is wrong ends with what is said about it by mypy and by basedpyright, both strict:

    fusesg.Zeros("1")  # wrong: arg-type, reportArgumentType

and nothing is said about any other line.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parent
PROGRAMS = sorted(DIRECTORY.glob("*/*.py"))
MARK = re.compile(r"# wrong: ([a-z-]+), (\w+)$")

CONFIGURATION = {
    "include": [str(DIRECTORY / "accepted"), str(DIRECTORY / "refused")],
    "typeCheckingMode": "strict",
    # a class need not use each argument, or tell why it ignores a result
    "reportUnusedClass": "none",
    "reportUnusedFunction": "none",
}


def run(*command, directory):
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """What mypy says: (file, line) to error codes and messages."""
    options = ["--strict", "--output=json", "--no-incremental", "--config-file="]
    command = [sys.executable, "-m", "mypy", *options, *PROGRAMS]
    output = run(*command, directory=tmp_path_factory.mktemp("mypy"))
    said = {}
    for each in map(json.loads, output.splitlines()):
        if each["severity"] == "error":
            place = Path(each["file"]).resolve(), each["line"]
            said.setdefault(place, []).append((each["code"], each["message"]))
    return said


@pytest.fixture(scope="module")
def basedpyright(tmp_path_factory):
    """What basedpyright says, likewise."""
    program = Path(sys.executable).with_name("basedpyright")
    if not program.exists():
        assert shutil.which("basedpyright"), "basedpyright is not installed"
        program = "basedpyright"
    directory = tmp_path_factory.mktemp("basedpyright")
    (directory / "pyrightconfig.json").write_text(json.dumps(CONFIGURATION))
    options = ["--outputjson", "--project", directory, "--pythonpath", sys.executable]
    output = json.loads(run(program, *options, directory=directory))
    assert output["summary"]["filesAnalyzed"] == len(PROGRAMS)
    said = {}
    for each in output["generalDiagnostics"]:
        if each["severity"] == "error":
            place = Path(each["file"]).resolve(), each["range"]["start"]["line"] + 1
            said.setdefault(place, []).append((each["rule"], each["message"]))
    return said


@pytest.mark.parametrize("checker", ["mypy", "basedpyright"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program(program, checker, request):
    said = request.getfixturevalue(checker)
    found = {
        line: each for (path, line), each in said.items() if path == program.resolve()
    }
    expected = {}
    for line, text in enumerate(program.read_text().splitlines(), start=1):
        if mark := MARK.search(text):
            expected[line] = {mark[1 if checker == "mypy" else 2]}
    codes = {line: {code for code, _ in each} for line, each in found.items()}
    assert codes == expected, found
    assert bool(expected) == (program.parent.name == "refused")
