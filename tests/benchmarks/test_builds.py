"""Building commits: what cannot be built is told in a line."""

import shutil
import subprocess
from pathlib import Path

import pytest
from benchmarks.builds import BuildError, Builds

ROOT = Path(__file__).parents[2]


def git(directory, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True)


@pytest.fixture
def checkout(tmp_path):
    """A checkout with two commits."""
    directory = tmp_path / "checkout"
    directory.mkdir()
    git(directory, "init", "--quiet")
    for text in ("one", "two"):
        (directory / "Cargo.toml").write_text(f"this is no manifest: {text}\n")
        git(directory, "add", "Cargo.toml")
        git(directory, "commit", "--quiet", "-m", text)
    return directory


def test_commits_are_found(checkout):
    builds = Builds(checkout)
    assert len(builds.resolve("HEAD")) == 40
    assert builds.resolve("HEAD") != builds.resolve("HEAD^")


@pytest.mark.parametrize("revision", ["no-such-branch", "0" * 40, "--all", ""])
def test_unknown_commit(checkout, revision):
    with pytest.raises(BuildError, match="git knows no such commit"):
        Builds(checkout).resolve(revision)


def test_no_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(BuildError, match="is not a git checkout"):
        Builds(tmp_path).resolve("HEAD")


def test_shallow_clone(checkout, tmp_path):
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{checkout}", "shallow")
    builds = Builds(tmp_path / "shallow")
    assert builds.resolve("HEAD")
    with pytest.raises(BuildError, match="git fetch --unshallow"):
        builds.resolve("HEAD^")


def test_changes_that_are_not_committed_are_known(checkout):
    builds = Builds(checkout)
    assert builds.changed_sources() == []
    (checkout / "Cargo.toml").write_text("other\n")
    (checkout / "README.md").write_text("not in a wheel\n")
    assert builds.changed_sources() == ["Cargo.toml"]


@pytest.mark.skipif(not shutil.which("cargo"), reason="cargo is missing")
def test_commit_that_does_not_build(checkout):
    builds = Builds(checkout)
    commit = builds.resolve("HEAD")
    with pytest.raises(BuildError, match=r"failed\n.*error"):
        builds.criterion_programs(commit)
    with pytest.raises(BuildError, match="failed"):
        builds.wheel(commit)
    # and is tried again the next time, rather than taken for built
    assert not list((checkout / ".asv/builds").glob("*/wheel"))


@pytest.mark.parametrize(
    ("script", "arguments", "problem"),
    [
        ("bench.sh", ["HEAD^!"], "is not a git checkout"),
        ("bench-compare.sh", [], "is not a git checkout"),
    ],
)
def test_scripts_outside_of_a_checkout(
    tmp_path, monkeypatch, script, arguments, problem
):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    check(copy_scripts(tmp_path, script), arguments, problem)


def test_asv_that_is_missing(checkout):
    check(copy_scripts(checkout, "bench.sh"), ["HEAD^!"], "asv is not installed")


def test_range_without_commits(checkout):
    asv = checkout / ".venv/bin/asv"
    asv.parent.mkdir(parents=True)
    asv.write_text("#!/bin/sh\nexit 99\n")
    asv.chmod(0o755)
    script = copy_scripts(checkout, "bench.sh")
    check(script, ["nothing..known"], "git knows no such commits")
    check(script, ["HEAD..HEAD"], "has no commits")
    check(script, [""], "which commits?")


def copy_scripts(directory, name):
    if not (ROOT / "scripts").exists():
        pytest.skip("a source distribution has no scripts")
    (directory / "scripts").mkdir(exist_ok=True)
    for each in ("common.sh", name):
        shutil.copy(ROOT / "scripts" / each, directory / "scripts")
    return directory / "scripts" / name


def check(script, arguments, problem):
    done = subprocess.run(
        [script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) <= 2, "a clear line"
