"""Which pages of a file are in memory: how a real move of a page is seen."""

from __future__ import annotations

import ctypes
import mmap
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)


def pages_in_memory(path: str, size: int) -> int:
    """How many of the pages of the first bytes of a file are in the page cache.

    Args:
        path: A file of ours: of those of others the kernel says that all are.
        size: How many bytes to look at.
    """
    pages = -(-size // mmap.PAGESIZE)
    answers = ctypes.create_string_buffer(pages)
    with open(path, "rb") as file:
        # private, because ctypes gives the address of writable memory only
        mapping = mmap.mmap(
            file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE
        )
    start = ctypes.c_char.from_buffer(mapping)
    failed = _libc.mincore(ctypes.addressof(start), size, answers)
    number = ctypes.get_errno()
    del start  # lets the mapping be closed
    mapping.close()
    if failed:
        raise OSError(number, f"mincore: {os.strerror(number)}", path)
    return sum(answer & 1 for answer in answers.raw)
