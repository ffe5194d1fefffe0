"""Owners, groups, umask and ACLs, as unprivileged users meet them."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

pytestmark = pytest.mark.requires("root")

USER = {"uid": 1000, "gid": 1001}
NOBODY = {"uid": 65534, "gid": 65534}
SHARED = 4321
"""A group that nobody has but by a supplement."""

MAKE_ALL = """
os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o666))
os.mkdir("directory", 0o777)
os.mkfifo("fifo", 0o666)
os.mknod("node", stat.S_IFREG | 0o666)
os.symlink("target", "link")
with socket.socket(socket.AF_UNIX) as server:
    server.bind("socket")
"""

ALL = ["directory", "fifo", "file", "link", "node", "socket"]


def _open_to_all(directory):
    os.chmod(directory, 0o777)


def _owner(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid


def _mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def _setfacl(*arguments):
    subprocess.run(["setfacl", *arguments], check=True)


def _getfacl(path):
    """The ACL without the comment that names the file."""
    command = ["getfacl", "--omit-header", "--numeric", "--absolute-names", path]
    return subprocess.check_output(command, text=True).split()


@pytest.mark.parametrize("caller", [USER, NOBODY], ids=["user", "nobody"])
def test_what_is_created_belongs_to_the_caller(view, as_user, caller):
    _open_to_all(view.backing)
    as_user(MAKE_ALL, view.path, **caller)
    assert sorted(os.listdir(view.backing)) == ALL
    for name in ALL:
        assert _owner(view.path / name) == (caller["uid"], caller["gid"]), name
        assert _owner(view.backing / name) == (caller["uid"], caller["gid"]), name


def test_a_set_group_id_directory_gives_its_group(view, as_user):
    os.chown(view.backing, 0, SHARED)
    os.chmod(view.backing, 0o2777)
    as_user(MAKE_ALL, view.path, **USER)
    for name in ALL:
        assert _owner(view.backing / name) == (USER["uid"], SHARED), name
    assert _mode(view.backing / "directory") == 0o2755
    assert _mode(view.path / "file") == 0o644


@pytest.mark.parametrize(
    ("groups", "expected"), [((), 0o0775), ((SHARED,), 0o2775)], ids=["out", "in"]
)
def test_only_members_make_set_group_id_files(view, as_user, groups, expected):
    os.chown(view.backing, 0, SHARED)
    os.chmod(view.backing, 0o2777)
    program = """
os.umask(0)
os.close(os.open("created", os.O_CREAT | os.O_WRONLY, 0o2775))
os.mknod("made", stat.S_IFREG | 0o2775)
os.close(os.open("changed", os.O_CREAT | os.O_WRONLY, 0o600))
os.chmod("changed", 0o2775)
"""
    as_user(program, view.path, **USER, groups=groups)
    for name in ("created", "made", "changed"):
        assert _mode(view.backing / name) == expected, name
        assert _mode(view.path / name) == expected, name


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
def test_the_umask_of_the_caller_holds(view, as_user, umask):
    _open_to_all(view.backing)
    program = f"os.umask({umask})\n{MAKE_ALL}"
    as_user(program, view.path, **USER)
    for name in ("file", "fifo", "node"):
        assert _mode(view.path / name) == 0o666 & ~umask, name
    assert _mode(view.backing / "directory") == 0o777 & ~umask


@pytest.mark.requires("program setfacl")
def test_a_default_acl_takes_the_place_of_the_umask(view, as_user):
    _open_to_all(view.backing)
    _setfacl("-d", "-m", "u::rwx,u:5:rwx,g::rx,o::-", view.path)
    as_user(f"os.umask(0o077)\n{MAKE_ALL}", view.path, **USER)
    assert _getfacl(view.path / "file") == [
        "user::rw-",
        "user:5:rwx",
        "#effective:rw-",
        "group::r-x",
        "#effective:r--",
        "mask::rw-",
        "other::---",
    ]
    assert "default:user:5:rwx" in _getfacl(view.path / "directory")
    for name in ("file", "directory"):
        assert _getfacl(view.path / name) == _getfacl(view.backing / name)


TRY = """
def attempt(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
"""

TRY_READ_AND_WRITE = f"""{TRY}
json.dump([attempt(os.open, "file", flags) for flags in (os.O_RDONLY, os.O_WRONLY)],
    sys.stdout)
"""


@pytest.fixture
def secret(view):
    """A file that nobody but root may use."""
    path = view.path / "file"
    path.write_text("SECRET")
    path.chmod(0o600)
    os.chmod(view.path, 0o755)
    return path


def test_modes_are_enforced(view, as_user, secret):
    assert as_user(TRY_READ_AND_WRITE, view.path, **USER) == ["EACCES", "EACCES"]
    secret.chmod(0o604)
    assert as_user(TRY_READ_AND_WRITE, view.path, **USER) == ["done", "EACCES"]


@pytest.mark.requires("program setfacl")
def test_acls_are_enforced(view, as_user, secret):
    _setfacl("-m", f"u:{USER['uid']}:r", secret)
    assert as_user(TRY_READ_AND_WRITE, view.path, **USER) == ["done", "EACCES"]
    assert as_user(TRY_READ_AND_WRITE, view.path, **NOBODY) == ["EACCES", "EACCES"]
    _setfacl("-m", f"u:{USER['uid']}:rw", secret)
    assert as_user(TRY_READ_AND_WRITE, view.path, **USER) == ["done", "done"]
    secret.chmod(0o600)  # the mask of an ACL is the group's part of the mode
    assert as_user(TRY_READ_AND_WRITE, view.path, **USER) == ["EACCES", "EACCES"]
    _setfacl("-b", secret)
    assert _getfacl(secret) == ["user::rw-", "group::---", "other::---"]


@pytest.mark.requires("program setfacl")
def test_an_acl_can_take_rights_away(view, as_user, secret):
    secret.chmod(0o666)
    _setfacl("-m", f"u:{USER['uid']}:-", secret)
    assert as_user(TRY_READ_AND_WRITE, view.path, **USER) == ["EACCES", "EACCES"]
    assert as_user(TRY_READ_AND_WRITE, view.path, **NOBODY) == ["done", "done"]


@pytest.mark.requires("program setfacl")
def test_an_acl_shows_in_the_mode(view, secret):
    _setfacl("-m", "u:5:rwx", secret)
    assert _mode(secret) == 0o670
    _setfacl("-m", "m::r", secret)
    assert _mode(secret) == 0o640
    assert _getfacl(secret) == _getfacl(view.backing / "file")


@pytest.mark.requires("program setfacl")
def test_only_the_owner_sets_acls(view, as_user, secret):
    secret.chmod(0o666)
    program = """
result = subprocess.run(["setfacl", "-m", "u:1000:rwx", "file"], capture_output=True)
json.dump(result.returncode, sys.stdout)
"""
    assert as_user(program, view.path, **USER) != 0
    os.chown(secret, USER["uid"], USER["gid"])
    assert as_user(program, view.path, **USER) == 0
    assert "user:1000:rwx" in _getfacl(view.backing / "file")


def test_supplementary_groups_count(view, as_user, secret):
    os.chown(secret, 0, SHARED)
    secret.chmod(0o660)
    assert as_user(TRY_READ_AND_WRITE, view.path, **USER) == ["EACCES", "EACCES"]
    found = as_user(TRY_READ_AND_WRITE, view.path, **USER, groups=(SHARED,))
    assert found == ["done", "done"]


def test_a_directory_open_to_a_supplementary_group_can_be_filled(view, as_user):
    os.chown(view.backing, 0, SHARED)
    os.chmod(view.backing, 0o770)
    as_user(MAKE_ALL, view.path, **USER, groups=(SHARED,))
    for name in ALL:
        assert _owner(view.backing / name) == (USER["uid"], USER["gid"]), name


def test_owners_change_their_own_files_only(view, as_user, secret):
    program = f"""{TRY}
json.dump({{
    "chmod": attempt(os.chmod, "file", 0o777),
    "chown": attempt(os.chown, "file", 1000, -1),
    "chgrp": attempt(os.chown, "file", -1, {SHARED}),
    "utime": attempt(os.utime, "file", (1, 1)),
    "truncate": attempt(os.truncate, "file", 0),
    "setxattr": attempt(os.setxattr, "file", "user.a", b"x"),
    "trusted": attempt(os.setxattr, "file", "trusted.a", b"x"),
}}, sys.stdout)
"""
    assert as_user(program, view.path, **USER, groups=(SHARED,)) == {
        "chmod": "EPERM",
        "chown": "EPERM",
        "chgrp": "EPERM",
        "utime": "EPERM",
        "truncate": "EACCES",
        "setxattr": "EACCES",
        "trusted": "EPERM",
    }
    os.chown(secret, USER["uid"], USER["gid"])
    assert as_user(program, view.path, **USER, groups=(SHARED,)) == {
        "chmod": "done",
        "chown": "done",
        "chgrp": "done",
        "utime": "done",
        "truncate": "done",
        "setxattr": "done",
        "trusted": "EPERM",
    }
    assert _owner(view.backing / "file") == (USER["uid"], SHARED)


def test_a_sticky_directory_protects_the_files_of_others(view, as_user):
    os.chmod(view.path, 0o1777)
    (view.path / "file").touch()
    program = f"""{TRY}
open("mine", "w").close()
json.dump([attempt(os.unlink, "file"), attempt(os.rename, "file", "x"),
    attempt(os.unlink, "mine")], sys.stdout)
"""
    assert as_user(program, view.path, **USER) == ["EPERM", "EPERM", "done"]


def test_a_file_is_created_unreadable_and_still_written(view, as_user):
    _open_to_all(view.backing)
    program = """
file = os.open("file", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0)
os.write(file, b"CONTENT")
json.dump(os.pread(file, 10, 0).decode(), sys.stdout)
"""
    assert as_user(program, view.path, **USER) == "CONTENT"
    assert _mode(view.backing / "file") == 0
