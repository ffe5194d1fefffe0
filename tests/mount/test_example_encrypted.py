"""examples/encrypted.py: what is in the directory, and what is read of it."""

from __future__ import annotations

import os
import random

import pytest

from fusesg.examples.encrypted import SECTOR, Encrypted

LENGTHS = (
    0,
    1,
    15,
    16,
    17,
    SECTOR - 1,
    SECTOR,
    SECTOR + 1,
    SECTOR + 15,
    3 * SECTOR + 7,
)


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(os.urandom(64))
    return path


@pytest.mark.parametrize("length", LENGTHS)
def test_a_file_is_unreadable_and_as_long(mounted, mountpoint, source, key, length):
    content = os.urandom(length)
    with mounted(Encrypted(source, key)):
        (mountpoint / "file").write_bytes(content)
    encrypted = (source / "file").read_bytes()
    assert len(encrypted) == length
    for at in range(0, length - 16, 16):
        assert encrypted[at : at + 16] not in content
    with mounted(Encrypted(source, key)):  # the kernel has nothing cached any more
        assert (mountpoint / "file").read_bytes() == content


def test_another_key_reads_other_bytes(mounted, mountpoint, source, key):
    with mounted(Encrypted(source, key)):
        (mountpoint / "file").write_bytes(b"secret" * 1000)
    key.write_bytes(os.urandom(64))
    with mounted(Encrypted(source, key)):
        assert b"secret" not in (mountpoint / "file").read_bytes()


@pytest.mark.parametrize("direct_io", [False, True])
def test_random_changes_are_those_of_a_plain_file(
    mounted, mountpoint, source, key, tmp_path, direct_io
):
    """Writes, truncations and reads at any place, also beyond the end."""
    choose = random.Random(7)
    plain = os.open(tmp_path / "plain", os.O_CREAT | os.O_RDWR)
    with mounted(Encrypted(source, key), direct_io=direct_io):
        secret = os.open(mountpoint / "file", os.O_CREAT | os.O_RDWR)
        writing = os.open(mountpoint / "file", os.O_WRONLY)
        for step in range(400):
            offset = choose.choice((0, SECTOR, 2 * SECTOR, 7 * SECTOR))
            offset += choose.choice((0, 1, 5, 15, 16, 17, 1000, SECTOR - 1))
            if choose.random() < 0.3:
                for descriptor in (plain, secret):
                    os.ftruncate(descriptor, offset)
            else:
                data = choose.randbytes(choose.choice((1, 3, 16, 700, SECTOR, 9000)))
                os.pwrite(plain, data, offset)
                os.pwrite(choose.choice((secret, writing)), data, offset)
            expected = os.pread(plain, 1 << 20, 0)
            assert os.fstat(secret).st_size == len(expected)
            assert os.pread(secret, 1 << 20, 0) == expected, step
            start = choose.randrange(0, len(expected) + 1)
            assert os.pread(secret, 100, start) == expected[start : start + 100]
        os.close(writing)
        os.close(secret)
    with mounted(Encrypted(source, key)):
        assert (mountpoint / "file").read_bytes() == os.pread(plain, 1 << 20, 0)
    os.close(plain)


def test_appending_and_truncating_by_path(mounted, mountpoint, source, key):
    with mounted(Encrypted(source, key)):
        path = mountpoint / "file"
        for line in ("one\n", "two\n", "x" * 5000):
            with open(path, "a") as file:
                file.write(line)
        os.truncate(path, 6)
        os.truncate(path, 5010)
        assert path.read_bytes() == b"one\ntw" + bytes(5004)
        path.write_text("new")
        assert path.read_text() == "new"
