"""Extended attributes."""

from __future__ import annotations

import ctypes
import errno
import os

from .tools import fails, opened

_libc = ctypes.CDLL(None, use_errno=True)


def _getxattr(path, name, size):
    """getxattr(2) with a buffer of just `size` bytes; Python's tries again."""
    buffer = ctypes.create_string_buffer(max(size, 1))
    length = _libc.getxattr(os.fsencode(path), os.fsencode(name), buffer, size)
    if length < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return length


def _listxattr(path, size):
    buffer = ctypes.create_string_buffer(max(size, 1))
    length = _libc.listxattr(os.fsencode(path), buffer, size)
    if length < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return length


def attributes_are_kept(directory):
    (directory / "file").touch()
    (directory / "sub").mkdir()
    for name in ("file", "sub"):
        path = directory / name
        os.setxattr(path, "user.text", b"VALUE")
        os.setxattr(path, "user.binary", bytes(range(256)))
        os.setxattr(path, "user.empty", b"")
        assert os.getxattr(path, "user.text") == b"VALUE"
        assert os.getxattr(path, "user.binary") == bytes(range(256))
        assert os.getxattr(path, "user.empty") == b""
        listed = {name for name in os.listxattr(path) if name.startswith("user.")}
        assert listed == {"user.text", "user.binary", "user.empty"}


def attributes_are_reached_through_a_descriptor(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.setxattr(file, "user.a", b"1")
        assert os.getxattr(directory / "file", "user.a") == b"1"
        assert os.getxattr(file, "user.a") == b"1"


def attributes_can_be_replaced_and_removed(directory):
    path = directory / "file"
    path.touch()
    os.setxattr(path, "user.a", b"LONG VALUE")
    os.setxattr(path, "user.a", b"NEW")
    assert os.getxattr(path, "user.a") == b"NEW"
    os.removexattr(path, "user.a")
    assert "user.a" not in os.listxattr(path)
    with fails(errno.ENODATA):
        os.getxattr(path, "user.a")
    with fails(errno.ENODATA):
        os.removexattr(path, "user.a")


def flags_create_or_replace(directory):
    path = directory / "file"
    path.touch()
    with fails(errno.ENODATA):
        os.setxattr(path, "user.a", b"1", os.XATTR_REPLACE)
    os.setxattr(path, "user.a", b"1", os.XATTR_CREATE)
    with fails(errno.EEXIST):
        os.setxattr(path, "user.a", b"2", os.XATTR_CREATE)
    assert os.getxattr(path, "user.a") == b"1"
    os.setxattr(path, "user.a", b"3", os.XATTR_REPLACE)
    assert os.getxattr(path, "user.a") == b"3"


def sizes_can_be_asked_for(directory):
    path = directory / "file"
    path.touch()
    os.setxattr(path, "user.a", b"0123456789")
    assert _getxattr(path, "user.a", 0) == 10
    assert _getxattr(path, "user.a", 10) == 10
    with fails(errno.ERANGE):
        _getxattr(path, "user.a", 9)
    length = _listxattr(path, 0)
    assert length >= len("user.a") + 1
    assert _listxattr(path, length) == length
    with fails(errno.ERANGE):
        _listxattr(path, length - 1)


def values_of_several_kilobytes_are_kept(directory):
    path = directory / "file"
    path.touch()
    os.setxattr(path, "user.a", b"V" * 3000)
    assert os.getxattr(path, "user.a") == b"V" * 3000


def too_large_values_are_refused(directory):
    path = directory / "file"
    path.touch()
    with fails(errno.E2BIG):
        os.setxattr(path, "user.a", bytes(65537))
    with fails(errno.ERANGE):
        os.setxattr(path, "user." + "x" * 251, b"")


def a_value_of_64_kib_is_kept(directory):
    path = directory / "file"
    path.touch()
    os.setxattr(path, "user.a", b"V" * 65536)
    assert os.getxattr(path, "user.a") == b"V" * 65536


def many_attributes_are_listed(directory):
    path = directory / "file"
    path.touch()
    names = {f"user.{number:02}" for number in range(40)}
    for name in names:
        os.setxattr(path, name, b"V")
    found = {name for name in os.listxattr(path) if name.startswith("user.")}
    assert found == names


def links_have_no_user_attributes(directory):
    os.symlink("nowhere", directory / "link")
    with fails(errno.EPERM):
        os.setxattr(directory / "link", "user.a", b"1", follow_symlinks=False)
    os.setxattr(directory / "link", "trusted.a", b"1", follow_symlinks=False)
    found = os.getxattr(directory / "link", "trusted.a", follow_symlinks=False)
    assert found == b"1"


def unknown_namespaces_are_refused(directory):
    (directory / "file").touch()
    with fails(errno.EOPNOTSUPP):
        os.setxattr(directory / "file", "nonsense.a", b"1")


def attributes_follow_a_rename(directory):
    (directory / "a").touch()
    os.setxattr(directory / "a", "user.a", b"1")
    os.rename(directory / "a", directory / "b")
    assert os.getxattr(directory / "b", "user.a") == b"1"
