"""The example project passes, and fails with the right words once it has a bug."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "examples" / "testing-project"

READ = "        return self._texts[inode][offset : offset + size]\n"


@pytest.fixture
def test_project(run_python, tmp_path):
    """Runs the project's own tests; with another `read`, if one is given."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)

    def run(*arguments, read=READ):
        source = project / "src" / "jsonfs.py"
        text = source.read_text()
        assert text.count(READ) == 1
        source.write_text(text.replace(READ, read))
        program = "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
        options = ["-p", "pytest_fusesg", "-p", "no:cacheprovider"]
        # not where other runs are, whose old files pytest would delete
        options += ["--basetemp", tmp_path / "base", *arguments]
        return run_python(program, *options, cwd=project)

    return run


def test_it_passes(test_project):
    result = test_project()
    assert re.search(r"= 5 passed in", result.stdout), result.stdout
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("read", "outcome", "words"),
    [
        pytest.param(
            "        import os\n        os.open(__file__, os.O_RDONLY)\n" + READ,
            "1 passed, 4 deselected, 1 error",
            r"left behind: descriptor \d+ -> .*/jsonfs\.py",
            id="leak",
        ),
        pytest.param(
            "        self.missing\n",
            "1 failed, 4 deselected",
            r"'JsonFilesystem' object has no attribute 'missing'",
            id="bug",
        ),
        pytest.param(
            "        import logging\n"
            "        logging.getLogger('fusesg').warning('odd')\n" + READ,
            "1 passed, 4 deselected, 1 error",
            r"in the log, and not expected: odd",
            id="log",
        ),
        pytest.param(
            "        import threading\n        threading.Event().wait()\n",
            "1 failed, 4 deselected",
            r"hung: read \(request \d+\) has been served for(?s:.*)"
            r"JsonFilesystem\.read, in thread(?s:.*)threading\.Event\(\)\.wait\(\)",
            id="hang",
        ),
    ],
)
def test_it_fails_by_a_bug(test_project, read, outcome, words):
    result = test_project(
        *("-k", "files_have", "-o", "fuse_time_limit=0.3", "-o", "fuse_settle_time=0"),
        read=read,
    )
    assert outcome in result.stdout, result.stdout
    assert re.search(words, result.stdout), result.stdout
    assert result.returncode == 1
