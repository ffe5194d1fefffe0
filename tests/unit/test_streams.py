"""`Pipe` and `Socket`: what can be consumed, and where they may stand."""

import errno
import gc
import operator
import os
import re
import socket
import tempfile

import pytest

import fusesg


@pytest.fixture
def pipe():
    """Both ends of a pipe, closed at the end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def sockets():
    """Two connected sockets, closed at the end."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_they_know_their_length(pipe, sockets):
    for stream in (fusesg.Pipe(pipe[0], 5000), fusesg.Socket(sockets[0], 5000)):
        assert stream.length == len(stream) == 5000
        assert re.fullmatch(r"<fusesg\.(Pipe|Socket) fd=\d+ length=5000>", repr(stream))
    assert len(fusesg.Pipe(pipe[0], 0)) == 0
    assert fusesg.Socket(sockets[0], 2**63 - 1).length == 2**63 - 1


def test_they_take_what_has_a_descriptor(pipe, sockets):
    with os.fdopen(os.dup(pipe[0]), "rb") as file:
        assert fusesg.Pipe(file, 1).length == 1
    assert fusesg.Socket(sockets[0].fileno(), 1).length == 1


def test_a_fifo_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    fd = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    assert fusesg.Pipe(fd, 1).length == 1
    os.close(fd)


def test_a_duplicate_is_owned_and_closed_with_its_object(pipe, sockets):
    gc.collect()
    before = open_descriptors()
    streams = [fusesg.Pipe(pipe[0], 1), fusesg.Socket(sockets[0], 1)]
    assert open_descriptors() == before + 2
    for stream in streams:
        fd = int(repr(stream).split("fd=")[1].split()[0])
        assert not os.get_inheritable(fd)
    del streams, stream
    assert open_descriptors() == before


def test_nothing_is_left_of_what_was_refused(pipe, sockets):
    gc.collect()
    before = open_descriptors()
    for wrong in (
        lambda: fusesg.Pipe(pipe[1], 1),
        lambda: fusesg.Pipe(sockets[0], 1),
        lambda: fusesg.Socket(pipe[0], 1),
        lambda: fusesg.Pipe(pipe[0], -1),
    ):
        with pytest.raises(ValueError, match=r"^(fd|sock|length)"):
            wrong()
    assert open_descriptors() == before


@pytest.mark.parametrize("make", [fusesg.Pipe, fusesg.Socket])
def test_lengths_are_checked(make, pipe, sockets):
    source = pipe[0] if make is fusesg.Pipe else sockets[0]
    for length in (-1, 2**63, -(2**100), 2**100):
        with pytest.raises(ValueError, match=r"length=.* is not within"):
            make(source, length)
    for length in (True, 1.5, "1", None):
        with pytest.raises(TypeError, match=r"length: expected an int"):
            make(source, length)
    with pytest.raises(TypeError):
        make(source)


@pytest.mark.parametrize("value", [True, None, 1.5, "path", b"path", object()])
def test_what_has_no_descriptor_is_refused(value):
    with pytest.raises(TypeError, match=r"^fd: expected a file descriptor"):
        fusesg.Pipe(value, 1)
    with pytest.raises(TypeError, match=r"^sock: expected a socket"):
        fusesg.Socket(value, 1)


def test_closed_descriptors_are_refused():
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(OSError, match=rf"fd: file descriptor {reader} is not") as info:
        fusesg.Pipe(reader, 1)
    assert info.value.errno == errno.EBADF
    with pytest.raises(OSError, match=r"sock: file descriptor .* is not") as info:
        fusesg.Socket(reader, 1)
    assert info.value.errno == errno.EBADF
    closed = socket.socket()
    closed.close()
    with pytest.raises(ValueError, match=r"sock.fileno\(\)=-1"):
        fusesg.Socket(closed, 1)
    for number in (-1, 2**31):
        with pytest.raises(ValueError, match=r"fd=.* is not within"):
            fusesg.Pipe(number, 1)


def test_the_wrong_kind_is_named(pipe, sockets, tmp_path):
    with pytest.raises(ValueError, match=r"fd: .* not open for reading.*write end"):
        fusesg.Pipe(pipe[1], 1)
    with pytest.raises(ValueError, match=r"fd: .* is a socket, not a pipe; use Socket"):
        fusesg.Pipe(sockets[0], 1)
    with pytest.raises(ValueError, match=r"sock: .* is a pipe, not a socket; use Pipe"):
        fusesg.Socket(pipe[0], 1)
    with tempfile.TemporaryFile() as file:
        with pytest.raises(ValueError, match=r"fd: .* is a regular file, not a pipe"):
            fusesg.Pipe(file, 1)
        with pytest.raises(ValueError, match=r"sock: .* is a regular file, not a"):
            fusesg.Socket(file, 1)
    directory = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(ValueError, match=r"fd: .* is a directory, not a pipe"):
        fusesg.Pipe(directory, 1)
    os.close(directory)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_sockets_without_a_stream_are_refused(kind):
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    with (
        one,
        other,
        pytest.raises(ValueError, match=r"sock: not a stream of bytes"),
    ):
        fusesg.Socket(one, 1)


def test_a_listening_socket_is_refused():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ValueError, match=r"sock: .* not listen"),
    ):
        fusesg.Socket(server, 1)


def test_they_are_in_no_list_that_may_be_used_again(pipe, sockets):
    pipe, sock = fusesg.Pipe(pipe[0], 1), fusesg.Socket(sockets[0], 1)
    reusable = fusesg.SegmentList([b"x"])
    for stream, name in ((pipe, "Pipe"), (sock, "Socket")):
        for wrong in (
            lambda stream=stream: fusesg.SegmentList([b"x", stream]),
            lambda stream=stream: fusesg.SegmentList([[stream]]),
            lambda stream=stream: fusesg.SegmentList(stream),
            lambda stream=stream: reusable + stream,
            lambda stream=stream: operator.add(reusable, [stream]),
            lambda stream=stream: operator.add([stream], reusable),
        ):
            with pytest.raises(TypeError, match=rf"a {name} is consumed .* in a list"):
                wrong()
