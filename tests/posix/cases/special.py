"""FIFOs, sockets and device nodes."""

from __future__ import annotations

import errno
import os
import socket
import stat

from .tools import fails, opened


def a_fifo_connects_its_ends(directory):
    os.mkfifo(directory / "fifo", 0o640)
    assert stat.S_ISFIFO(os.stat(directory / "fifo").st_mode)
    with (
        opened(directory / "fifo", os.O_RDONLY | os.O_NONBLOCK) as reader,
        opened(directory / "fifo", os.O_WRONLY) as writer,
    ):
        os.write(writer, b"THROUGH")
        assert os.read(reader, 100) == b"THROUGH"


def a_fifo_without_a_reader_refuses_an_impatient_writer(directory):
    os.mkfifo(directory / "fifo")
    with fails(errno.ENXIO):
        os.open(directory / "fifo", os.O_WRONLY | os.O_NONBLOCK)


def a_socket_can_be_connected_to(directory):
    # through the descriptor: an address has room for 108 bytes only
    with opened(directory, os.O_RDONLY) as handle:
        address = f"/proc/self/fd/{handle}/socket"
        with (
            socket.socket(socket.AF_UNIX) as server,
            socket.socket(socket.AF_UNIX) as client,
        ):
            server.bind(address)
            server.listen()
            assert stat.S_ISSOCK(os.stat(directory / "socket").st_mode)
            client.connect(address)
            connection, _ = server.accept()
            with connection:
                client.sendall(b"THROUGH")
                assert connection.recv(100) == b"THROUGH"
        with socket.socket(socket.AF_UNIX) as late, fails(errno.ECONNREFUSED):
            late.connect(address)


def device_nodes_keep_their_numbers(directory):
    for name, kind, major, minor in (
        ("null", stat.S_IFCHR, 1, 3),
        ("large", stat.S_IFBLK, 4095, 1_048_575),
        ("plain", stat.S_IFBLK, 8, 300),
    ):
        os.mknod(directory / name, kind | 0o600, os.makedev(major, minor))
        status = os.stat(directory / name)
        assert stat.S_IFMT(status.st_mode) == kind
        found = os.major(status.st_rdev), os.minor(status.st_rdev)
        assert found == (major, minor)


def mknod_makes_regular_files_too(directory):
    os.mknod(directory / "file", stat.S_IFREG | 0o640)
    status = os.stat(directory / "file")
    assert stat.S_ISREG(status.st_mode)
    (directory / "file").write_bytes(b"CONTENT")
    assert (directory / "file").read_bytes() == b"CONTENT"


def mknod_refuses_what_exists(directory):
    (directory / "file").touch()
    with fails(errno.EEXIST):
        os.mknod(directory / "file", stat.S_IFREG | 0o640)
    with fails(errno.EEXIST):
        os.mkfifo(directory / "file")


def special_files_are_renamed_linked_and_removed(directory):
    os.mkfifo(directory / "a")
    os.link(directory / "a", directory / "b")
    os.rename(directory / "a", directory / "c")
    assert os.stat(directory / "c").st_nlink == 2
    os.chmod(directory / "c", 0o600)
    os.unlink(directory / "b")
    os.unlink(directory / "c")
    assert os.listdir(directory) == []
