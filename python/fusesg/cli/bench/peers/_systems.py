"""What is compared: which systems there are, and whether this machine has them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import fusesg
from fusesg.cli._errors import CommandError
from fusesg.cli.bench.peers import programs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PROBE_SECONDS = 30
_PROGRAMS = os.path.dirname(programs.__file__)
_LIBFUSE_PROGRAM = "passthrough_hp"


@dataclass(frozen=True)
class Tools:
    """Where to look for what is compared."""

    pythons: Sequence[str] = ()
    """Other Pythons than ours, for the libraries that they have."""
    libfuse: str | None = None
    """libfuse's passthrough_hp; None is the one on PATH."""

    def check(self) -> None:
        """Refuses what was named and is not there: a slip, not a missing library.

        Raises:
            CommandError: It cannot be run.
        """
        for option, program in [
            *(("--python", python) for python in self.pythons),
            *([("--libfuse", self.libfuse)] if self.libfuse else []),
        ]:
            if shutil.which(program) is None:
                what = "cannot be executed" if os.path.exists(program) else "not found"
                raise CommandError(f"{option} {program}: {what}")


@dataclass(frozen=True)
class Installed:
    """A system that can be started."""

    name: str
    title: str
    """What it is, for the reader of the numbers."""
    version: str
    command: Sequence[str]
    """To be followed by the directory to show and the mount point."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is different from ours."""


class MissingError(Exception):
    """It is not installed.

    Args:
        reason: What was looked for, or what went wrong.
        remedy: What to do.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True)
class Ours:
    """A file system of this very fusesg."""

    name: str
    title: str
    program: str

    def find(self, tools: Tools) -> Installed:
        """It is always there; see `Peer.find`."""
        del tools
        # found even where fusesg is not installed but on PYTHONPATH of somebody else
        directory = os.path.dirname(os.path.dirname(fusesg.__file__))
        path = os.pathsep.join(filter(None, (directory, os.environ.get("PYTHONPATH"))))
        return Installed(
            self.name,
            self.title,
            fusesg.__version__,
            [sys.executable, os.path.join(_PROGRAMS, self.program)],
            {"PYTHONPATH": path},
        )


@dataclass(frozen=True)
class PythonPeer:
    """A library for Python."""

    name: str
    title: str
    program: str
    module: str
    needs: str
    """What the library needs of the machine, as Debian's packages."""
    arguments: Sequence[str] = ()
    """What the program is told besides the directory and the mount point."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it takes from the environment."""

    def find(self, tools: Tools) -> Installed:
        """How to start it.

        Args:
            tools: Where to look.

        Raises:
            MissingError: None of the Pythons can import it.
        """
        reasons = []
        for python in [*tools.pythons, sys.executable]:
            try:
                version = self._version(python)
            except MissingError as error:
                reasons.append(f"{python}: {error.reason}")
                continue
            command = [python, os.path.join(_PROGRAMS, self.program), *self.arguments]
            return Installed(self.name, self.title, version, command, self.environment)
        remedy = f"apt install {self.needs}; pip install {self.name}"
        raise MissingError("; ".join(reasons), remedy)

    def _version(self, python: str) -> str:
        probe = "import sys, importlib.metadata as m, importlib as i; "
        probe += "i.import_module(sys.argv[2]); print(m.version(sys.argv[1]))"
        try:
            result = subprocess.run(
                [python, "-c", probe, self.name, self.module],
                capture_output=True,
                text=True,
                check=False,
                timeout=_PROBE_SECONDS,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment},
            )
        except OSError as error:
            raise MissingError(str(error.strerror), "") from error
        except subprocess.TimeoutExpired as error:
            raise MissingError(f"no answer within {_PROBE_SECONDS} s", "") from error
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines()
            raise MissingError(lines[-1] if lines else "cannot be imported", "")
        return result.stdout.strip()


@dataclass(frozen=True)
class LibfusePeer:
    """libfuse's own example of a passthrough, in C++."""

    name: str
    title: str
    options: Sequence[str]

    def find(self, tools: Tools) -> Installed:
        """How to start it; see `PythonPeer.find`."""
        program = shutil.which(tools.libfuse or _LIBFUSE_PROGRAM)
        if program is None:
            remedy = (
                "build it from libfuse's sources (meson setup build; ninja -C build: "
                "build/example/passthrough_hp), then --libfuse PATH"
            )
            wanted = tools.libfuse or f"{_LIBFUSE_PROGRAM} on PATH"
            raise MissingError(f"no program {wanted}", remedy)
        known = self._options(program)
        if "--foreground" not in known:
            reason = f"{program} is none that serves in the foreground: too old"
            raise MissingError(reason, "libfuse 3.15 or later")
        # an older one has no mode in which the kernel itself reads and writes
        options = [option for option in self.options if option in known]
        command = [os.path.abspath(program), "--foreground", *options]
        return Installed(self.name, self.title, "", command)

    @staticmethod
    def _options(program: str) -> set[str]:
        try:
            result = subprocess.run(
                [program, "--help"],
                capture_output=True,
                text=True,
                check=False,
                timeout=_PROBE_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingError(f"{program}: {error}", "choose another one") from error
        if result.returncode != 0:
            lines = (result.stderr or result.stdout).strip().splitlines()
            reason = f"{program}: {lines[-1] if lines else 'does not run'}"
            raise MissingError(reason, "LD_LIBRARY_PATH has to name its libfuse3.so")
        return set(re.findall(r"--[a-z-]+", result.stdout))


SYSTEMS: Sequence[Ours | PythonPeer | LibfusePeer] = (
    Ours("fusesg-native", "Passthrough, without Python", "_fusesg_native.py"),
    Ours("fusesg-class", "every operation in Python", "_fusesg_class.py"),
    LibfusePeer(
        "libfuse-splice",
        "passthrough_hp, in C++",
        ("--nopassthrough",),
    ),
    LibfusePeer(
        "libfuse-copy",
        "passthrough_hp --nosplice",
        ("--nopassthrough", "--nosplice"),
    ),
    LibfusePeer(
        "libfuse-single",
        "passthrough_hp --nosplice --single",
        ("--nopassthrough", "--nosplice", "--single"),
    ),
    PythonPeer(
        "pyfuse3",
        "async methods in trio, by inodes",
        "_pyfuse3_loopback.py",
        "pyfuse3",
        "gcc pkg-config libfuse3-dev python3-dev",
    ),
    PythonPeer(
        "mfusepy",
        "ctypes, one thread, by paths",
        "_ctypes_loopback.py",
        "mfusepy",
        "fuse3",
        ("mfusepy",),
        # it prefers the older one where it finds both
        {"FUSE_LIBRARY_NAME": "fuse3"},
    ),
    PythonPeer(
        "fusepy",
        "ctypes, one thread, by paths",
        "_ctypes_loopback.py",
        "fuse",
        "libfuse2",
        ("fuse",),
    ),
)
"""In the order in which they are shown."""


def is_of(system: str, name: str) -> bool:
    """Whether a system has a name, or is one of several of a library of that name."""
    return system == name or system.startswith(f"{name}-")
