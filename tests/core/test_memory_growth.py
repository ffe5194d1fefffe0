"""How much memory of its own a server takes for the bytes that pass through it."""

import contextlib
import subprocess
import threading
import time
from pathlib import Path

import pytest

import fusesg

MIB = 1 << 20
READERS = 4
SIZE = 64 * MIB  # of what each of them reads


def anonymous_memory():
    """Bytes of this process that are in no file."""
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["RssAnon"].split()[0]) * 1024


def wait_until_all_read():
    """Each reader has a buffer from its start on, which may take a while."""

    def all_read():
        readers = []
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                name, _, state = (task / "stat").read_text().partition(") ")
                if "(fuser-" in name:
                    readers.append(state)
        count = fusesg.Config().reader_threads
        return len(readers) == count and all(state[0] == "S" for state in readers)

    deadline, pause = time.monotonic() + 10, threading.Event()
    while not all_read():
        assert time.monotonic() < deadline
        pause.wait(0.01)


@pytest.fixture
def source(source):
    for number in range(READERS):
        with open(source / str(number), "wb") as file:
            file.truncate(SIZE)
    return source


# what is spliced takes no memory, and what is copied a buffer for each serving thread
@pytest.mark.parametrize("threshold", [32_768, 2**32 - 1], ids=["spliced", "copied"])
@pytest.mark.parametrize("flags", [[], ["iflag=direct"]], ids=["cached", "direct"])
def test_reading_takes_two_mebibytes_for_a_serving_thread_at_most(
    mounted, mountpoint, source, threshold, flags
):
    filesystem = fusesg.Passthrough(source)
    with mounted(filesystem, splice_threshold=threshold) as mount:
        (mountpoint / "0").stat()
        wait_until_all_read()
        before = anonymous_memory()
        # other processes: what they read into is not the server's
        readers = [
            subprocess.Popen(
                ["dd", f"if={mountpoint}/{n}", "of=/dev/null", "bs=1M", *flags],
                stderr=subprocess.DEVNULL,
            )
            for n in range(READERS)
        ]
        assert [reader.wait() for reader in readers] == [0] * READERS
        grown = anonymous_memory() - before
    statistics = mount.statistics()
    # some pages twice, if the kernel had no room for them
    assert statistics["operations"]["read"]["bytes"] >= READERS * SIZE
    assert grown <= 2 * MIB * fusesg.Config().reader_threads, grown
