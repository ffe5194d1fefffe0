"""A small project with a history of commits that asv has measured."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "dashboard"

# The commit that becomes slower, and by how much, is what the dashboard has to show.
FACTORS = (1.0, 1.01, 1.15, 1.16)
SLOWER = 2

BENCHMARKS = """
from pathlib import Path

FACTOR = float((Path(__file__).parents[1] / "factor").read_text())


class Reads:
    params = [[4096, 1048576], ["native", "<callback>"]]
    param_names = ["size", "kind"]

    def track_read(self, size, kind):
        seconds = (1e-6 + size * 1e-10) * (FACTOR if kind == "native" else 2)
        return {"samples": [seconds * (1 + n / 1000) for n in range(15)], "number": 1}

    track_read.unit = "seconds per GiB"


class Partly:
    params = [["here", "absent"]]
    param_names = ["where"]

    def setup(self, where):
        if where == "absent":
            raise NotImplementedError

    def track_partly(self, where):
        return 1


class Never:
    def setup(self):
        raise NotImplementedError

    def track_never(self):
        return 1


def track_memory():
    return 1200.0


def track_mount():
    return 0.004 * FACTOR


track_memory.unit = "bytes"
track_mount.unit = "seconds"
"""

# What the commits with a history had not yet.
NEWER_BENCHMARKS = """
class Calls:
    params = [[1, 32], ["native", "callback"], [4096]]
    param_names = ["depth", "kind", "size"]

    def track_call(self, depth, kind, size):
        return depth * size * 1e-9

    track_call.unit = "seconds"


def track_start():
    return 0.02


track_start.unit = "seconds"
"""

CONFIG = {
    "version": 1,
    "project": "sample",
    "project_url": "https://example.org/sample",
    "repo": ".",
    "branches": ["main"],
    "environment_type": "virtualenv",
    "benchmark_dir": "benchmarks",
    "env_dir": ".asv/env",
    "results_dir": ".asv/results",
    "html_dir": ".asv/html",
    "regressions_thresholds": {".*": 0.05},
}


class Project:
    """A git checkout with benchmarks."""

    def __init__(self, root):
        self.root = root
        self.environment = os.environ | {
            "HOME": str(root.parent),  # where asv keeps what it knows of machines
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }

    @property
    def site(self):
        return self.root / ".asv" / "html"

    @property
    def results(self):
        return self.root / ".asv" / "results"

    def published(self, name="index.json"):
        return json.loads(self.site.joinpath(name).read_text())

    def copied(self, root):
        shutil.copytree(self.root, root)
        copy = Project(root)
        copy.commits, copy.slower = self.commits, self.slower
        return copy

    def run(self, *command, check=True, at=None, **variables):
        return subprocess.run(
            [str(part) for part in command],
            cwd=at or self.root,
            env=self.environment | variables,
            check=check,
            capture_output=True,
            text=True,
            timeout=55,
        )

    def git(self, *arguments, **variables):
        return self.run("git", *arguments, **variables).stdout.strip()

    def asv(self, *arguments):
        return self.run(sys.executable, "-m", "asv", *arguments)

    def command(self, *arguments, interpreter=(sys.executable,)):
        return [*interpreter, SCRIPT, "--root", self.root, *arguments]

    def dashboard(self, *arguments, interpreter=(sys.executable,), **variables):
        command = self.command(*arguments, interpreter=interpreter)
        return self.run(*command, check=False, **variables)

    def start(self):
        self.root.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.root.joinpath("asv.conf.json").write_text(json.dumps(CONFIG))
        self.root.joinpath(".gitignore").write_text(".asv/\n__pycache__/\n")
        benchmarks = self.root / "benchmarks"
        benchmarks.mkdir()
        benchmarks.joinpath("__init__.py").write_text("")
        benchmarks.joinpath("rows.py").write_text(BENCHMARKS)
        self.asv("machine", "--yes", "--machine", "sample")

    def commit(self, number, factor):
        date = f"2026-01-{number + 1:02}T12:00:00+00:00"
        self.root.joinpath("factor").write_text(f"{factor}\n{number * ' '}")
        self.git("add", ".")
        self.git(
            "commit", "--quiet", "--message", f"Commit <{number}>",
            GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date,
        )  # fmt: skip
        return self.git("rev-parse", "HEAD")

    def add_newer_benchmarks(self):
        newer = self.root / "benchmarks" / "newer.py"
        newer.write_text(NEWER_BENCHMARKS)
        return self.commit(len(FACTORS), FACTORS[-1])

    def measure(self, commit, machine="sample", pattern="rows"):
        self.asv(
            "run", "--quick", "--machine", machine, "--set-commit-hash", commit,
            "--environment", f"existing:{sys.executable}", "--bench", pattern,
        )  # fmt: skip


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """The project after asv has measured each of its commits."""
    pytest.importorskip("asv", reason="make dashboard installs it")
    project = Project(tmp_path_factory.mktemp("dashboard") / "project")
    project.start()
    project.commits = []
    for number, factor in enumerate(FACTORS):
        project.commits.append(project.commit(number, factor))
        project.measure(project.commits[-1])
    project.slower = project.commits[SLOWER]
    return project


@pytest.fixture(scope="session")
def published(measured, tmp_path_factory):
    """The same with its dashboard, which no test changes."""
    project = measured.copied(tmp_path_factory.mktemp("published") / "project")
    done = project.dashboard("build")
    assert done.returncode == 0, done.stderr
    assert "make dashboard-serve" in done.stdout
    return project


@pytest.fixture
def project(measured, tmp_path):
    """A copy of the project, to damage."""
    return measured.copied(tmp_path / "project")
