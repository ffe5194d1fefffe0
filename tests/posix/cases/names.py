"""Names: their length, and that any byte but NUL and "/" may be in them."""

from __future__ import annotations

import errno
import os

from .tools import fails


def names_have_up_to_255_bytes(directory):
    for name in ("x" * 255, "ä" * 127 + "x"):
        (directory / name).write_bytes(b"CONTENT")
        assert os.listdir(directory) == [name]
        os.rename(directory / name, directory / name[::-1])
        os.unlink(directory / name[::-1])


def longer_names_are_refused_everywhere(directory):
    (directory / "file").touch()
    for name in ("x" * 256, "ä" * 128):
        long = directory / name
        for call in (
            lambda long=long: os.stat(long),
            lambda long=long: os.open(long, os.O_CREAT | os.O_WRONLY),
            lambda long=long: os.mkdir(long),
            lambda long=long: os.mkfifo(long),
            lambda long=long: os.symlink("x", long),
            lambda long=long: os.link(directory / "file", long),
            lambda long=long: os.rename(directory / "file", long),
            lambda long=long: os.unlink(long),
            lambda long=long: os.rmdir(long),
        ):
            with fails(errno.ENAMETOOLONG):
                call()


def names_are_bytes(directory):
    names = [b"\xff\xfe", b"caf\xe9", b"caf\xc3\xa9", b"new\nline", b"\x01", b"\\x"]
    names += [b" ", b"...", b"-rf", b"*", b"a\tb", bytes(range(1, 47))]
    root = os.fsencode(directory)
    for number, name in enumerate(names):
        with open(root + b"/" + name, "wb") as file:
            file.write(b"%d" % number)
    assert sorted(os.listdir(root)) == sorted(names)
    for number, name in enumerate(names):
        with open(root + b"/" + name, "rb") as file:
            assert file.read() == b"%d" % number
        os.rename(root + b"/" + name, root + b"/X" + name)
        os.unlink(root + b"/X" + name)


def names_keep_their_case(directory):
    (directory / "Name").touch()
    (directory / "NAME").touch()
    with fails(errno.ENOENT):
        os.stat(directory / "name")
    assert sorted(os.listdir(directory)) == ["NAME", "Name"]


def a_name_that_was_missing_appears(directory):
    with fails(errno.ENOENT):
        os.stat(directory / "file")
    (directory / "file").touch()
    os.stat(directory / "file")
    os.unlink(directory / "file")
    with fails(errno.ENOENT):
        os.stat(directory / "file")


def a_file_can_become_a_directory(directory):
    (directory / "x").write_bytes(b"FILE")
    os.unlink(directory / "x")
    (directory / "x").mkdir()
    (directory / "x/file").touch()
    assert os.listdir(directory / "x") == ["file"]


def a_trailing_slash_means_a_directory(directory):
    (directory / "file").touch()
    (directory / "sub").mkdir()
    with fails(errno.ENOTDIR):
        os.stat(f"{directory}/file/")
    os.stat(f"{directory}/sub/")
    with fails(errno.EISDIR):
        os.open(f"{directory}/new/", os.O_CREAT | os.O_WRONLY)
