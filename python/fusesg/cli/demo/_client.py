"""The client of part 3, a program of its own: it must not share the server's lock.

`python _client.py REQUEST`, where REQUEST is the JSON of paths, rounds, repetitions.
Prints one line of JSON for each round: for each path and operation the microseconds of
each way.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import time

SEGMENTS = 32
SEGMENT = 4096
GROUP = SEGMENTS * SEGMENT
OPERATIONS = ("read", "write")


def main() -> None:
    """Measures as told by the command line."""
    paths, rounds, repetitions = json.loads(sys.argv[1])
    # O_DIRECT wants memory that begins at a page; segments of one mapping do
    buffer = memoryview(mmap.mmap(-1, GROUP))
    descriptors = [os.open(path, os.O_RDWR | os.O_DIRECT) for path in paths]
    for descriptor in descriptors:
        _verify(descriptor, buffer)
    for _ in range(rounds):
        print(json.dumps([_round(fd, buffer, repetitions) for fd in descriptors]))
        sys.stdout.flush()


def _verify(fd: int, buffer: memoryview) -> None:
    """What is written packed must be read packed and one by one, and the reverse."""
    segments = _segments(buffer)
    for seed, (write, read) in enumerate(
        [(_write_packed, _read_one_by_one), (_write_one_by_one, _read_packed)]
    ):
        expected = b"".join(bytes([seed + i]) * SEGMENT for i in range(SEGMENTS))
        buffer[:] = expected
        write(fd, segments, 0)
        buffer[:] = bytes(GROUP)
        read(fd, segments, 0)
        if buffer != expected:
            sys.exit("what was read is not what was written")


def _round(fd: int, buffer: memoryview, repetitions: int) -> dict[str, list[float]]:
    """Microseconds for 128 KiB: packed and one by one, for each operation."""
    segments = _segments(buffer)
    groups = os.fstat(fd).st_size // GROUP
    result: dict[str, list[float]] = {}
    for operation, ways in zip(
        OPERATIONS,
        [(_read_packed, _read_one_by_one), (_write_packed, _write_one_by_one)],
        strict=True,
    ):
        result[operation] = []
        for way in ways:
            started = time.perf_counter()
            for index in range(repetitions):
                way(fd, segments, index % groups * GROUP)
            seconds = time.perf_counter() - started
            result[operation].append(seconds / repetitions * 1e6)
    return result


def _segments(buffer: memoryview) -> list[memoryview]:
    return [buffer[start : start + SEGMENT] for start in range(0, GROUP, SEGMENT)]


def _read_packed(fd: int, segments: list[memoryview], offset: int) -> None:
    _expect(os.preadv(fd, segments, offset), GROUP)


def _write_packed(fd: int, segments: list[memoryview], offset: int) -> None:
    _expect(os.pwritev(fd, segments, offset), GROUP)


def _read_one_by_one(fd: int, segments: list[memoryview], offset: int) -> None:
    for index, segment in enumerate(segments):
        _expect(os.preadv(fd, [segment], offset + index * SEGMENT), SEGMENT)


def _write_one_by_one(fd: int, segments: list[memoryview], offset: int) -> None:
    for index, segment in enumerate(segments):
        _expect(os.pwritev(fd, [segment], offset + index * SEGMENT), SEGMENT)


def _expect(count: int, expected: int) -> None:
    if count != expected:
        sys.exit(f"{count} bytes rather than {expected}")


if __name__ == "__main__":
    main()
