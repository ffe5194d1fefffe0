"""`fusesg install-helper`: the program by which mount(8) mounts fusesg.

For the type fuse.fusesg mount(8) runs /sbin/mount.fuse.fusesg, for the type fusesg
/sbin/mount.fusesg. Ours is a shell script that names this very interpreter, so that it
works for an installation in a virtual environment, whatever PATH root has.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    import argparse

NAME = "mount.fuse.fusesg"
LINK = "mount.fusesg"

_MARK = (
    "# made by `fusesg install-helper`; `fusesg install-helper --uninstall` removes it"
)

# -P: a module in the working directory, which may be anybody's, must not be run by root
_SCRIPT = f"""\
#!/bin/sh
{_MARK}
exec %s -P -m fusesg.cli._mount_helper "$@"
"""


def run(options: argparse.Namespace) -> int:
    """Installs or uninstalls."""
    directory = Path(options.prefix, "sbin")
    try:
        if options.uninstall:
            _uninstall(directory)
        else:
            _install(directory)
    except OSError as error:
        where = error.filename or directory
        raise CommandError(f"{where}: {error.strerror}") from None
    return 0


def is_installed(directory: Path = Path("/sbin")) -> bool:
    """Whether mount(8) finds a helper of ours."""
    return _is_ours(directory / NAME)


def _install(directory: Path) -> None:
    for name in (NAME, LINK):
        _must_be_ours(directory / name)
    directory.mkdir(parents=True, exist_ok=True)
    script = _SCRIPT % shlex.quote(sys.executable)
    # in one step: a mount at this moment finds the old one or the new one
    descriptor, temporary = tempfile.mkstemp(prefix=f".{NAME}.", dir=directory)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(script)
            os.fchmod(descriptor, 0o755)
        os.replace(temporary, directory / NAME)
    except BaseException:
        os.unlink(temporary)
        raise
    with contextlib.suppress(FileNotFoundError):
        (directory / LINK).unlink()
    (directory / LINK).symlink_to(NAME)
    print(f"{directory / NAME}: mount -t fuse.fusesg SOURCE MOUNTPOINT now works")


def _uninstall(directory: Path) -> None:
    found = [directory / name for name in (NAME, LINK)]
    found = [path for path in found if path.is_symlink() or path.exists()]
    if not found:
        raise CommandError(f"there is no {directory / NAME}")
    for path in found:
        _must_be_ours(path)
    for path in reversed(found):  # the link first, which is ours by what it leads to
        path.unlink()


def _must_be_ours(path: Path) -> None:
    if (path.is_symlink() or path.exists()) and not _is_ours(path):
        raise CommandError(f"{path} is there and was not made by fusesg")


def _is_ours(path: Path) -> bool:
    if path.is_symlink() and os.readlink(path) == NAME:
        return True
    try:
        return _MARK in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
