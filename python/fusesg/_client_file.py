"""The file object of a client."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fusesg._client import Client, StrPath

_NONE = -1  # no descriptor

_FLAGS = {
    "r": 0,
    "w": os.O_CREAT | os.O_TRUNC,
    "x": os.O_CREAT | os.O_EXCL,
    "a": os.O_CREAT | os.O_APPEND,
}


def _flags(mode: str) -> int:
    """The flags of open(2) for a mode of `open`."""
    letters = mode.replace("b", "", 1)
    kind = letters[:1]
    if kind not in _FLAGS or letters[1:] not in {"", "+"}:
        raise ValueError(
            f"mode={mode!r} is not one of r, w, x, a, with or without + and b"
        )
    if letters.endswith("+"):
        return os.O_RDWR | _FLAGS[kind]
    return (os.O_RDONLY if kind == "r" else os.O_WRONLY) | _FLAGS[kind]


class ClientFile(io.RawIOBase):
    """An open file of a `Client`: unbuffered and binary, as `io.FileIO`.

    Made by `Client.open_file`. It has no `fileno`: its descriptor is the client's, and
    means nothing to the system.

    **Errors** are those of `io.FileIO`: ValueError of a file that is closed,
    `io.UnsupportedOperation` of one that was not opened for what is asked, OSError of
    the file system.

    Attributes:
        name: The path that it was opened with.
        mode: How, as `io.FileIO` shows it.
    """

    def __init__(
        self, client: Client, path: StrPath, mode: str, permissions: int
    ) -> None:
        self.name: StrPath = path
        self.mode: str = mode if "b" in mode else mode[:1] + "b" + mode[1:]
        self._client = client
        # what raises below leaves an object that is closed all the same, when it dies
        self._fd = _NONE
        flags = _flags(mode)
        self._fd = client.open(path, flags, permissions)
        self._access = flags & os.O_ACCMODE
        if flags & os.O_APPEND:
            client.lseek(self._fd, 0, os.SEEK_END)

    def readable(self) -> bool:
        """Whether it was opened for reading."""
        self._check_open()
        return self._access != os.O_WRONLY

    def writable(self) -> bool:
        """Whether it was opened for writing."""
        self._check_open()
        return self._access != os.O_RDONLY

    def seekable(self) -> bool:
        """Whether it has positions."""
        self._check_open()
        try:
            self.tell()
        except OSError:
            return False
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Reads into a buffer, straight from where the file system has the bytes.

        Args:
            buffer: A writable buffer.

        Returns:
            How many bytes were read; 0 at the end of the file.
        """
        self._check(self.readable(), "reading")
        return self._client.readv(self._fd, [buffer])

    def readall(self) -> bytes:
        """Reads up to the end."""
        self._check(self.readable(), "reading")
        left = max(self._client.fstat(self._fd).st_size - self.tell(), 0)
        # one more: the read that finds the end asks for more than there is
        chunks = [self._client.read(self._fd, left + 1)]
        while chunks[-1]:
            chunks.append(self._client.read(self._fd, io.DEFAULT_BUFFER_SIZE))
        return b"".join(chunks)

    def write(self, data: Buffer, /) -> int:
        """Writes.

        Args:
            data: A buffer.

        Returns:
            How many bytes were taken, from the first on.
        """
        self._check(self.writable(), "writing")
        return self._client.write(self._fd, data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position.

        Args:
            offset: How many bytes from there.
            whence: From where: `os.SEEK_SET` the start, `os.SEEK_CUR` the position,
                `os.SEEK_END` the end; or `os.SEEK_DATA` and `os.SEEK_HOLE`.

        Returns:
            The new position in bytes.
        """
        self._check_open()
        return self._client.lseek(self._fd, offset, whence)

    def tell(self) -> int:
        """The position."""
        return self.seek(0, os.SEEK_CUR)

    def truncate(self, size: int | None = None, /) -> int:
        """Sets the length.

        Args:
            size: The length in bytes; None is the position.

        Returns:
            The new length.
        """
        self._check(self.writable(), "writing")
        length = self.tell() if size is None else size
        self._client.ftruncate(self._fd, length)
        return length

    def close(self) -> None:
        """Closes it."""
        if not self.closed:
            try:
                super().close()
            finally:
                if self._fd != _NONE and not self._client.closed:
                    self._client.close(self._fd)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    @staticmethod
    def _check(allowed: bool, what: str) -> None:
        if not allowed:
            raise io.UnsupportedOperation(f"the file is not open for {what}")

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"mode={self.mode!r}"
        return f"<fusesg.ClientFile name={self.name!r} {state}>"
