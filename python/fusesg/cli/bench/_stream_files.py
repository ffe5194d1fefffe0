"""File systems whose bytes come out of pipes and sockets.

Each shows one file. A read first has the bytes of a file put into four sources, as if
four producers had been asked, and then answers from them in the way that is measured.
One read is served at a time: the client of the measurements sends no second one before
the first is answered.
"""

from __future__ import annotations

import fcntl
import os
import queue
import socket
import threading
from typing import TYPE_CHECKING

import fusesg
from fusesg.cli._single_file import SingleFile

if TYPE_CHECKING:
    from fusesg._data import Answer

SOURCES = 4


class _StreamFile(SingleFile):
    """Each source gives an equal share of what is read."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def destroy(self) -> None:
        os.close(self._fd)


class PipeFile(_StreamFile):
    """Four pipes, filled by splice(2): they hold pages of the file, not copies.

    Args:
        path: The file behind.
        size: Largest read.
    """

    def __init__(self, path: str, size: int) -> None:
        super().__init__(path)
        self._pipes = [_pipe(size // SOURCES) for _ in range(SOURCES)]

    def destroy(self) -> None:
        for descriptor in (end for pipe in self._pipes for end in pipe):
            os.close(descriptor)
        super().destroy()

    def _fill(self, offset: int, size: int) -> int:
        """Fills the pipes; how much each has then."""
        share = size // SOURCES
        for index, (_, write) in enumerate(self._pipes):
            _expect(share, os.splice(self._fd, write, share, offset + index * share))
        return share


class PipeListFile(PipeFile):
    """Answers with the four pipes."""

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> Answer:
        del inode, handle, ctx
        share = self._fill(offset, size)
        return [fusesg.Pipe(read, share) for read, _ in self._pipes]


class MergedPipeFile(PipeFile):
    """Moves the bytes of all into one pipe, and answers with that."""

    def __init__(self, path: str, size: int) -> None:
        super().__init__(path, size)
        self._merged = _pipe(size)

    def destroy(self) -> None:
        for descriptor in self._merged:
            os.close(descriptor)
        super().destroy()

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> Answer:
        del inode, handle, ctx
        share = self._fill(offset, size)
        out, into = self._merged
        for read, _ in self._pipes:
            _expect(share, os.splice(read, into, share))
        return fusesg.Pipe(out, size)


class CopiedPipeFile(PipeFile):
    """Reads the pipes, and answers with the bytes."""

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> Answer:
        del inode, handle, ctx
        share = self._fill(offset, size)
        return [os.read(read, share) for read, _ in self._pipes]


class SocketFile(_StreamFile):
    """Four sockets, into which a thread sends.

    In read() itself it could not be sent: a socket does not hold that much, and nobody
    would read it before read() returns.
    """

    def init(self) -> None:
        self._sockets = [socket.socketpair() for _ in range(SOURCES)]
        self._wanted: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send, name="bench-sender")
        self._sender.start()

    def destroy(self) -> None:
        self._wanted.put(None)
        # what has not been read, because a client was killed, is not waited for
        for end in (end for pair in self._sockets for end in pair):
            end.shutdown(socket.SHUT_RDWR)
        self._sender.join()
        for end in (end for pair in self._sockets for end in pair):
            end.close()
        super().destroy()

    def _ask(self, offset: int, size: int) -> int:
        """Has it sent; how much each socket will give."""
        share = size // SOURCES
        self._wanted.put((offset, share))
        return share

    def _send(self) -> None:
        while wanted := self._wanted.get():
            offset, share = wanted
            for index, (_, end) in enumerate(self._sockets):
                start, left = offset + index * share, share
                try:
                    while left:
                        sent = os.sendfile(end.fileno(), self._fd, start, left)
                        start, left = start + sent, left - sent
                except BrokenPipeError:
                    return


class SocketListFile(SocketFile):
    """Answers with the four sockets."""

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> Answer:
        del inode, handle, ctx
        share = self._ask(offset, size)
        return [fusesg.Socket(end, share) for end, _ in self._sockets]


class CopiedSocketFile(SocketFile):
    """Receives from the sockets, and answers with the bytes."""

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> Answer:
        del inode, handle, ctx
        share = self._ask(offset, size)
        return [end.recv(share, socket.MSG_WAITALL) for end, _ in self._sockets]


def _pipe(size: int) -> tuple[int, int]:
    """A pipe that holds so many bytes of whole pages."""
    read, write = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, size)
    return read, write


def _expect(expected: int, moved: int) -> None:
    """A pipe that is filled or emptied in part is a mistake of this program."""
    if moved != expected:
        raise OSError(f"splice moved {moved} bytes, not {expected}")
