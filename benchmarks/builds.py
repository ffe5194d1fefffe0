"""The wheel and the criterion benchmarks of a commit, each built once.

Everything is in `.asv`: a checkout of its own, which commits share, so that cargo
builds anew only what differs; a target directory beside it; and what was built, by
commit. What is there needs neither the network nor a compiler.

`python -m benchmarks.builds COMMIT DIRECTORY` is asv's build command: it puts the wheel
into a directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
_CACHE = ROOT / ".asv"
_SOURCE = _CACHE / "source"
_TARGET = _CACHE / "target"
_BUILDS = _CACHE / "builds"
_MOST_LINES = 15


class BuildError(Exception):
    """A commit that cannot be built; the message says why."""


def wheel(commit: str) -> Path:
    """The wheel of a commit.

    Args:
        commit: Its full hash.

    Raises:
        BuildError: It cannot be built.
    """
    return _built(commit, "wheel", _build_wheel)


def criterion_programs(commit: str) -> list[Path]:
    """The programs of the criterion benchmarks of a commit, in a fixed order.

    Args:
        commit: Its full hash.

    Raises:
        BuildError: They cannot be built.
    """
    return sorted(_built(commit, "criterion", _build_criterion).iterdir())


def criterion_programs_of(source: Path, profile: str | None = None) -> list[Path]:
    """Those of a directory with sources, by its own target directory.

    Args:
        source: The directory.
        profile: How to build them; None is that of benchmarks.

    Raises:
        BuildError: They cannot be built.
    """
    return list(_compiled(source, dict(os.environ), profile).values())


def resolve(revision: str) -> str:
    """The full hash of a commit.

    Args:
        revision: As git understands it.

    Raises:
        BuildError: There is no such commit, or no git checkout at all.
    """
    try:
        return _run(
            ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
        )
    except BuildError as error:
        if not (ROOT / ".git").exists():
            reason = f"{ROOT} is not a git checkout"
        elif _run(["git", "rev-parse", "--is-shallow-repository"]) == "true":
            reason = "no such commit; this clone is shallow: git fetch --unshallow"
        else:
            reason = "no such commit"
        raise BuildError(f"{revision}: {reason}") from error


def _built(commit: str, name: str, build: Callable[[Path], None]) -> Path:
    """What is in the cache, after building it if it is not."""
    directory = _BUILDS / commit
    path = directory / name
    with _locked():
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            _check_out(commit)
            unfinished = directory / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            build(unfinished)
            unfinished.rename(path)
    return path


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """There is one checkout, and several may want to build."""
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / "builds.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_out(commit: str) -> None:
    """Files that do not change keep their times, which is what cargo goes by."""
    if not (_SOURCE / ".git").exists():
        shutil.rmtree(_SOURCE, ignore_errors=True)
        _run(["git", "init", "--quiet", str(_SOURCE)])
    # shares the objects: so it also has commits that no branch leads to
    objects = _run(
        ["git", "rev-parse", "--path-format=absolute", "--git-path", "objects"]
    )
    alternates = _SOURCE / ".git" / "objects" / "info" / "alternates"
    alternates.write_text(f"{objects}\n", encoding="utf-8")
    _run(["git", "checkout", "--quiet", "--force", "--detach", commit], _SOURCE)
    _run(["git", "clean", "--quiet", "-fdx"], _SOURCE)


def _environment() -> dict[str, str]:
    return os.environ | {"CARGO_TARGET_DIR": str(_TARGET)}


def _build_wheel(directory: Path) -> None:
    command = [sys.executable, "-m", "maturin", "build", "--release", "--locked"]
    command += ["--interpreter", sys.executable, "--out", str(directory)]
    _run(command, _SOURCE, _environment())


def _build_criterion(directory: Path) -> None:
    for name, program in _compiled(_SOURCE, _environment()).items():
        shutil.copy2(program, directory / name)


def _compiled(
    source: Path, environment: dict[str, str], profile: str | None = None
) -> dict[str, Path]:
    """By package and name: the programs that cargo makes of the benchmarks."""
    packages = _benchmarked_packages(source, environment)
    command = ["cargo", "bench", "--locked", "--no-run", "--message-format=json"]
    command += [word for package in packages for word in ("--package", package)]
    command += ["--benches", *(["--profile", profile] if profile else [])]
    found = {}
    for line in _run(command, source, environment).splitlines():
        message = json.loads(line)
        target = message.get("target", {})
        if message.get("executable") and target.get("kind") == ["bench"]:
            package = Path(message["manifest_path"]).parent.name
            found[f"{package}-{target['name']}"] = Path(message["executable"])
    return dict(sorted(found.items()))


def _benchmarked_packages(source: Path, environment: dict[str, str]) -> list[str]:
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version=1"]
    packages = json.loads(_run(command, source, environment))["packages"]
    return [
        package["name"]
        for package in packages
        if any(target["kind"] == ["bench"] for target in package["targets"])
    ]


def _run(
    command: list[str],
    directory: Path = ROOT,
    environment: dict[str, str] | None = None,
) -> str:
    """What a command prints, without the end of its last line."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} is not installed") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        errors = [line for line in lines if line.startswith("error")]
        shown = "\n".join(errors or lines[-_MOST_LINES:])
        raise BuildError(f"`{' '.join(command[:3])} …` failed:\n{shown}")
    return done.stdout.strip()


def main() -> None:
    """Puts the wheel of a commit into a directory."""
    commit, directory = sys.argv[1:]
    try:
        for path in wheel(commit).iterdir():
            shutil.copy2(path, directory)
    except BuildError as error:
        sys.exit(f"{commit[:10]} cannot be built: {error}")


if __name__ == "__main__":
    main()
