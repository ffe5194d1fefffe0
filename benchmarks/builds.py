"""The wheel and the criterion benchmarks of a commit, each built once.

Everything is in `.asv`: a checkout of its own, which commits share, so that cargo
builds anew only what differs; a target directory beside it; and what was built, by
commit. What is there needs neither the network nor a compiler.

`python -m benchmarks.builds COMMIT DIRECTORY` is asv's build command: it puts the wheel
into a directory. Without a directory it only builds.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._processes import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROOT = Path(__file__).resolve().parents[1]
_MOST_LINES = 15

_SOURCES = ("rust", "python", "Cargo.toml", "Cargo.lock", "pyproject.toml")
"""What a wheel is made of."""


class BuildError(Exception):
    """A commit that cannot be built; the message says why."""


class Builds:
    """The commits of a checkout, and what was built of them.

    Args:
        root: The checkout.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        self._root = root
        self._cache = root / ".asv"
        self._source = self._cache / "source"
        self._environment = os.environ | {
            "CARGO_TARGET_DIR": str(self._cache / "target")
        }

    def resolve(self, revision: str) -> str:
        """The full hash of a commit.

        Args:
            revision: As git understands it.

        Raises:
            BuildError: There is no such commit, or no git checkout at all.
        """
        commit = f"{revision}^{{commit}}"
        try:
            return self._git(
                "rev-parse", "--verify", "--quiet", "--end-of-options", commit
            )
        except BuildError as error:
            raise BuildError(f"{revision}: {self._why_unknown()}") from error

    def _why_unknown(self) -> str:
        try:
            is_shallow = self._git("rev-parse", "--is-shallow-repository") == "true"
        except BuildError:
            return f"{self._root} is not a git checkout"
        hint = "; this clone is shallow: git fetch --unshallow" if is_shallow else ""
        return f"git knows no such commit{hint}"

    def changed_sources(self) -> list[str]:
        """Files that go into a wheel and are not as in the last commit."""
        return self._git("diff", "--name-only", "HEAD", "--", *_SOURCES).splitlines()

    def wheel(self, commit: str) -> Path:
        """The wheel of a commit.

        Args:
            commit: Its full hash.

        Raises:
            BuildError: It cannot be built.
        """
        (wheel,) = self._built(commit, "wheel", self._build_wheel).iterdir()
        return wheel

    def criterion_programs(self, commit: str) -> list[Path]:
        """The programs of the criterion benchmarks of a commit, by name.

        Args:
            commit: Its full hash.

        Raises:
            BuildError: They cannot be built.
        """
        return sorted(self._built(commit, "criterion", self._build_criterion).iterdir())

    def _built(self, commit: str, name: str, build: Callable[[Path], None]) -> Path:
        """What is in the cache, after building it if it is not."""
        directory = self._cache / "builds" / commit
        path = directory / name
        with self._locked():
            if not path.exists():
                unfinished = directory / f"{name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                self._check_out(commit)
                build(unfinished)
                unfinished.rename(path)
        return path

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """There is one checkout, and several may want to build."""
        self._cache.mkdir(exist_ok=True)
        with (self._cache / "builds.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _check_out(self, commit: str) -> None:
        """Files that do not change keep their times, which is what cargo goes by."""
        git = self._source / ".git"
        if not git.exists():
            shutil.rmtree(self._source, ignore_errors=True)
            _run(["git", "init", "--quiet", str(self._source)], self._root)
        # shares the objects: so it also has commits that no branch leads to
        objects = self._git(
            "rev-parse", "--path-format=absolute", "--git-path", "objects"
        )
        alternates = git / "objects" / "info" / "alternates"
        alternates.write_text(f"{objects}\n", encoding="utf-8")
        command = ["git", "checkout", "--quiet", "--force", "--detach", commit]
        _run(command, self._source)
        _run(["git", "clean", "--quiet", "-fdx"], self._source)

    def _build_wheel(self, directory: Path) -> None:
        command = [sys.executable, "-m", "maturin", "build", "--release", "--locked"]
        command += ["--interpreter", sys.executable, "--out", str(directory)]
        _run(command, self._source, self._environment)

    def _build_criterion(self, directory: Path) -> None:
        for name, program in _compiled(self._source, self._environment).items():
            shutil.copy2(program, directory / name)

    def _git(self, *arguments: str) -> str:
        return _run(["git", *arguments], self._root)


def criterion_programs_of(source: Path, profile: str | None = None) -> list[Path]:
    """Those of a directory with sources, by its own target directory.

    Args:
        source: The directory.
        profile: How to build them; None is that of benchmarks.

    Raises:
        BuildError: They cannot be built.
    """
    return list(_compiled(source, dict(os.environ), profile).values())


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
    command: list[str], directory: Path, environment: dict[str, str] | None = None
) -> str:
    """What a command prints, without the end of its last line."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            preexec_fn=functools.partial(end_with_parent, os.getpid()),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} is not installed") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        shown = [line for line in lines if "error" in line][:_MOST_LINES]
        shown = shown or lines[-_MOST_LINES:]
        raise BuildError("\n".join([f"`{' '.join(command[:3])} …` failed", *shown]))
    return done.stdout.strip()


def main() -> None:
    """Builds the wheel of a commit, and puts it into a directory if there is one."""
    commit, *directories = sys.argv[1:]
    try:
        wheel = Builds().wheel(commit)
        for directory in directories:
            shutil.copy2(wheel, directory)
    except BuildError as error:
        sys.exit(f"{commit[:10]} cannot be built: {error}")


if __name__ == "__main__":
    main()
