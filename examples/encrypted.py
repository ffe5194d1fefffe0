"""A directory whose files are kept encrypted: a Passthrough of other bytes.

    head -c 64 /dev/urandom > KEY
    fusesg mount encrypted.py:Encrypted MOUNTPOINT --set source=DIRECTORY --set key=KEY

Needs the package cryptography. Names, sizes, owners and times stay as they are and
are served natively; what goes through Python is `read`, `write`, and what moves the end
of a file within a sector.

The cipher is AES-256 in XTS mode, as for disks, in sectors of 4096 bytes. It keeps
contents secret from whoever gets hold of the directory. It does NOT hide names, sizes,
times, holes, or that two files, or two versions of one, are equal in the same place.
It does NOT notice that somebody changed, exchanged or put back encrypted bytes: then
other bytes are read, without an error. Where the last sector of a file has fewer than
16 bytes, they are only XORed with a pattern that is always the same for that sector:
who sees two versions of them learns how they differ.
"""

import errno
import os
import threading

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import fusesg

SECTOR = 4096  # bytes that are encrypted together; the last one may be shorter
SMALLEST = 16  # bytes of a sector that XTS can encrypt
FALLOC_FL_KEEP_SIZE = 1


class Encrypted(fusesg.Passthrough):
    """The files below `source`, with the 64 bytes in the file `key`."""

    def __init__(self, source, key):
        super().__init__(source)
        with open(key, "rb") as file:
            self._key = algorithms.AES(file.read())
        self._locks = [threading.Lock() for _ in range(64)]  # shared out by inode

    def _lock(self, inode):
        return self._locks[inode % len(self._locks)]

    # Sectors

    def _cipher(self, number):
        return Cipher(self._key, modes.XTS(number.to_bytes(16, "little")))

    def _encrypt(self, number, data):
        if len(data) < SMALLEST:
            pattern = self._cipher(number).encryptor().update(bytes(SMALLEST))
            return bytes(a ^ b for a, b in zip(data, pattern, strict=False))
        return self._cipher(number).encryptor().update(data)

    def _decrypt(self, number, data):
        if len(data) < SMALLEST:
            return self._encrypt(number, data)
        if data == bytes(len(data)):
            return data  # a hole: nothing becomes zeros when it is encrypted
        return self._cipher(number).decryptor().update(data)

    def _apply(self, method, start, data):
        """Encrypts or decrypts whole sectors, of which the first begins at `start`."""
        parts = range(0, len(data), SECTOR)
        return b"".join(
            method((start + at) // SECTOR, data[at : at + SECTOR]) for at in parts
        )

    def _load(self, inode, handle, offset, size, ctx):
        start = offset - offset % SECTOR
        end = offset + size + -(offset + size) % SECTOR
        data = bytes(super().read(inode, handle, start, end - start, ctx))
        return self._apply(self._decrypt, start, data)[offset - start :][:size]

    def _store(self, inode, handle, offset, data, ctx):
        """Writes into sectors, whose other bytes stay; the end may be among them."""
        head = offset % SECTOR
        end = offset + len(data)
        sectors = self._load(inode, handle, offset - head, head, ctx).ljust(head, b"\0")
        sectors += bytes(data)
        sectors += self._load(inode, handle, end, -end % SECTOR, ctx)
        sectors = self._apply(self._encrypt, offset - head, sectors)
        if super().write(inode, handle, offset - head, sectors, ctx) < len(sectors):
            raise OSError(errno.ENOSPC, "no space for whole sectors")

    def _tail(self, inode, handle, end, ctx):
        """Where the sector with an end of the file in it begins, and its bytes."""
        start = end - end % SECTOR
        return start, self._load(inode, handle, start, end - start, ctx)

    def _set_end(self, inode, handle, start, tail, size, ctx):
        """Encrypts the bytes in short sectors anew, once the file ends at `size`."""
        if tail:
            zeros = bytes(min(SECTOR, size - start) - len(tail))
            self._store(inode, handle, start, tail + zeros, ctx)
            start += SECTOR
        rest = size % SECTOR
        if rest < SMALLEST and size - rest >= start:  # too short for a hole
            self._store(inode, handle, size - rest, bytes(rest), ctx)

    # Operations

    def open(self, inode, flags, ctx):
        return super().open(inode, read_write(flags), ctx)

    def create(self, parent, name, mode, flags, ctx):
        return super().create(parent, name, mode, read_write(flags), ctx)

    def read(self, inode, handle, offset, size, ctx):
        with self._lock(inode):
            return self._load(inode, handle, offset, size, ctx)

    def write(self, inode, handle, offset, data, ctx):
        with self._lock(inode):
            size = super().getattr(inode, handle, ctx).size
            if offset > size:
                start, tail = self._tail(inode, handle, size, ctx)
                self._set_end(inode, handle, start, tail, offset, ctx)
            self._store(inode, handle, offset, data, ctx)
        return len(data)

    def setattr(self, inode, changes, handle, ctx):
        if changes.size is None:
            return super().setattr(inode, changes, handle, ctx)
        handle = handle or super().open(inode, os.O_RDWR, ctx)
        with self._lock(inode):
            size = super().getattr(inode, handle, ctx).size
            start, tail = self._tail(inode, handle, min(size, changes.size), ctx)
            attributes = super().setattr(inode, changes, handle, ctx)
            self._set_end(inode, handle, start, tail, changes.size, ctx)
            return attributes

    def fallocate(self, inode, handle, offset, length, mode, ctx):
        if mode != FALLOC_FL_KEEP_SIZE:  # the others make zeros within sectors
            raise OSError(errno.EOPNOTSUPP, f"fallocate mode {mode:#x}")
        super().fallocate(inode, handle, offset, length, mode, ctx)


def read_write(flags):
    """How the encrypted file is opened: writing a part of a sector reads the rest."""
    if flags & os.O_ACCMODE == os.O_WRONLY:
        flags = flags & ~os.O_ACCMODE | os.O_RDWR
    return flags & ~os.O_APPEND  # the kernel says where to write
