"""The kernel's table of mounts, and how to take one out of it."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from dataclasses import dataclass

from fusesg.cli._errors import CommandError

_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8


@dataclass(frozen=True)
class MountEntry:
    """A line of /proc/self/mountinfo."""

    mount_id: int
    device: str
    """`major:minor`; the minor number names the connection in fusectl."""
    path: str
    type: str
    source: str
    owner: int | None
    """Number of the user who mounted it, if it is served by a program."""

    @property
    def is_fuse(self) -> bool:
        """Whether it is served by a program."""
        return self.type in {"fuse", "fuseblk"} or self.type.startswith("fuse.")

    @property
    def is_fusesg(self) -> bool:
        """Whether it is ours, by its type or, where that was chosen, by its source."""
        return self.type == "fuse.fusesg" or (self.is_fuse and self.source == "fusesg")


def read() -> list[MountEntry]:
    """All mounts; of several at one path the last one is what is seen there."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        return [_parse(line) for line in f]


def find(path: str) -> MountEntry | None:
    """The mount that is seen at `path`, without asking its server.

    A server that has died or hangs would answer an error or never; so only the parent
    directory of the path is resolved in the file system.
    """
    absolute = os.path.abspath(path)
    parent, name = os.path.split(absolute)
    candidates = {absolute, os.path.join(os.path.realpath(parent), name)}
    found = [entry for entry in read() if entry.path in candidates]
    if not found and os.path.islink(absolute):
        # the path of a mount is never a symbolic link, but one may lead to it
        return find(os.path.join(parent, os.readlink(absolute)))
    return found[-1] if found else None


def unmount(entry: MountEntry, *, lazy: bool) -> None:
    """Unmounts; as root by the system call, else by fusermount3.

    Raises:
        CommandError: It could not be unmounted.
    """
    if os.geteuid() == 0:
        _unmount_as_root(entry, lazy=lazy)
    else:
        _unmount_as_user(entry, lazy=lazy)


def _unmount_as_root(entry: MountEntry, *, lazy: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazy else 0)
    if libc.umount2(os.fsencode(entry.path), flags) != 0:
        raise _failed(entry, os.strerror(ctypes.get_errno()).lower())


def _unmount_as_user(entry: MountEntry, *, lazy: bool) -> None:
    command = ["fusermount3", "-uz" if lazy else "-u", "--", entry.path]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CommandError(
            "fusermount3 is missing, without which only root can unmount; install the "
            "package fuse3"
        ) from None
    if result.returncode != 0:
        reason = result.stderr.strip().removeprefix("fusermount3: ")
        reason = reason.removeprefix(f"failed to unmount {entry.path}: ")
        raise _failed(entry, reason or f"fusermount3 exited {result.returncode}")


def _failed(entry: MountEntry, reason: str) -> CommandError:
    message = f"{entry.path} cannot be unmounted: {reason}"
    if users := _users(entry.path):
        message += f"\nin use by {', '.join(users)}"
        message += "\n--lazy hides the mount now and ends it with its last user"
    return CommandError(message)


def _users(path: str, most: int = 5) -> list[str]:
    """Processes that have something open below `path`, or are in it.

    Reading the links in /proc asks the kernel only, never the server of the mount.
    """
    users = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        directory = f"/proc/{pid}"
        try:
            descriptors = [f"fd/{fd}" for fd in os.listdir(f"{directory}/fd")]
            links = [f"{directory}/{name}" for name in ["cwd", "root", *descriptors]]
            if any(_is_below(_readlink(link), path) for link in links):
                with open(f"{directory}/comm", encoding="utf-8") as comm:
                    users.append(f"{comm.read().strip()} (pid {pid})")
        except OSError:
            continue  # it has ended, or belongs to somebody else
        if len(users) == most:
            return [*users, "..."]
    return users


def _readlink(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _parse(line: str) -> MountEntry:
    # optional fields come before the lone hyphen, and there may be any number of them
    before, _, after = line.partition(" - ")
    mount_id, _parent, device, _root, path = before.split(" ")[:5]
    kind, source, options = after.rstrip("\n").split(" ")[:3]
    owner = re.search(r"(?:^|,)user_id=(\d+)", options)
    return MountEntry(
        int(mount_id),
        device,
        _unescape(path),
        kind,
        _unescape(source),
        int(owner[1]) if owner else None,
    )


def _unescape(field: str) -> str:
    r"""The kernel writes space, tab, newline and backslash as \040 and so on."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
