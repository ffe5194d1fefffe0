"""Segments: data as Python describes it, without copying it."""

import array
import gc
import io
import mmap
import os
import sys

import pytest

import fusesg

BIG = bytes(range(256)) * 32


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(BIG)
    return path


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


class TestBacking:
    def test_opens_a_path(self, path):
        for source in (path, str(path), os.fsencode(path)):
            backing = fusesg.Backing(source)
            assert backing.size == len(BIG)
            assert not backing.writable
            assert fusesg.SegmentList([backing.extent(3, 5)]).tobytes() == BIG[3:8]

    def test_duplicates_a_descriptor(self, path):
        fd = os.open(path, os.O_RDONLY)
        backing = fusesg.Backing(fd)
        os.close(fd)
        assert backing.size == len(BIG)
        assert backing.extent(0, 1).backing == backing

    def test_takes_a_file_object(self, path):
        with path.open("rb") as file:
            backing = fusesg.Backing(file, immutable=True)
        assert backing.immutable
        assert backing.size == len(BIG)

    def test_its_descriptor_closes_on_exec_and_with_the_last_extent(self, path):
        gc.collect()
        before = open_descriptors()
        backing = fusesg.Backing(path)
        fd = int(repr(backing).split("fd=")[1].split(">")[0])
        assert not os.get_inheritable(fd)
        extent = backing.extent(0, 10)
        del backing
        assert open_descriptors() == before + 1
        del extent
        assert open_descriptors() == before

    def test_extent_without_length_reaches_to_the_end_of_the_file(self, path):
        backing = fusesg.Backing(path)
        assert (backing.extent().offset, backing.extent().length) == (0, len(BIG))
        assert len(backing.extent(100)) == len(BIG) - 100
        assert len(backing.extent(len(BIG) + 5)) == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((-1, 5), "offset=-1 is not within"),
            ((0, -5), "length=-5 is not within"),
            ((5, 2**63 - 1), "length=9223372036854775807 is not within"),
        ],
    )
    def test_refuses_extents_that_no_file_has(self, path, arguments, message):
        with pytest.raises(ValueError, match=message):
            fusesg.Backing(path).extent(*arguments)

    def test_a_path_that_does_not_open(self, tmp_path):
        with pytest.raises(FileNotFoundError) as caught:
            fusesg.Backing(tmp_path / "absent")
        assert caught.value.filename == tmp_path / "absent"
        with pytest.raises(IsADirectoryError):
            fusesg.Backing(tmp_path)
        with pytest.raises(IsADirectoryError):
            fusesg.Backing(tmp_path, writable=True)

    def test_a_descriptor_that_is_not_open(self):
        with pytest.raises(OSError, match=r"source: file descriptor \d+ is not open"):
            fusesg.Backing(1_000_000)

    @pytest.mark.parametrize("source", [None, 1.5, True, object(), io.BytesIO])
    def test_refuses_other_sources(self, source):
        with pytest.raises(TypeError):
            fusesg.Backing(source)

    @pytest.mark.parametrize(
        ("flags", "writable", "message"),
        [
            (os.O_WRONLY, False, "not open for reading"),
            (os.O_RDONLY, True, "not open for writing"),
            (os.O_RDWR | os.O_APPEND, True, "O_APPEND"),
            (os.O_PATH, False, "O_PATH"),
            (os.O_DIRECT, False, "O_DIRECT"),
        ],
    )
    def test_refuses_descriptors_that_cannot_serve(
        self, path, flags, writable, message
    ):
        fd = os.open(path, flags)
        try:
            with pytest.raises(ValueError, match=message):
                fusesg.Backing(fd, writable=writable)
        finally:
            os.close(fd)

    def test_refuses_pipes_and_does_not_wait_for_a_fifo(self, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(ValueError, match="a pipe has no positions"):
            fusesg.Backing(tmp_path / "fifo")

    def test_is_not_both_writable_and_immutable(self, path):
        with pytest.raises(ValueError, match="both writable and immutable"):
            fusesg.Backing(path, writable=True, immutable=True)

    def test_identity(self, path):
        one, other = fusesg.Backing(path), fusesg.Backing(path)
        assert one != other
        assert one.extent(0, 5) == one.extent(0, 5)
        assert one.extent(0, 5) != one.extent(0, 6)
        assert one.extent(0, 5) != other.extent(0, 5)
        assert len({one.extent(0, 5), one.extent(0, 5), one.extent(1, 5)}) == 2


class TestSegmentList:
    def test_is_what_its_segments_are(self, path):
        extent = fusesg.Backing(path).extent(10, 20)
        segments = fusesg.SegmentList([b"head", extent, fusesg.Zeros(3), BIG])
        assert len(segments) == 4 + 20 + 3 + len(BIG)
        assert bytes(segments) == b"head" + BIG[10:30] + bytes(3) + BIG
        head, second, zeros, big = segments
        assert (bytes(head), second, zeros) == (b"head", extent, fusesg.Zeros(3))
        assert isinstance(big, memoryview)
        assert big.readonly
        assert big == BIG

    def test_slices_like_the_bytes(self, path):
        backing = fusesg.Backing(path)
        segments = fusesg.SegmentList(
            [BIG[:7], backing.extent(7, 100), fusesg.Zeros(5), BIG[112:2000]]
        )
        whole = segments.tobytes()
        for offset in (0, 1, 6, 7, 8, 106, 107, 111, 112, 1999, 2000, 5000):
            for size in (0, 1, 5, 100, 1_000_000):
                part = segments.slice(offset, size)
                assert part.tobytes() == whole[offset : offset + size]
                assert len(part) == len(whole[offset : offset + size])

    def test_slice_refuses_negative_numbers(self):
        with pytest.raises(ValueError, match="offset=-1 is not within"):
            fusesg.SegmentList([b"abc"]).slice(-1, 2)

    def test_concatenates(self):
        segments = fusesg.SegmentList([b"ab"]) + b"cd" + [fusesg.Zeros(1), b"e"]
        assert bytes(segments) == b"abcd\0e"
        assert bytes(b"x" + segments + segments) == b"xabcd\0eabcd\0e"

    def test_takes_lists_of_lists_and_iterators(self):
        nested = [b"a", [b"b", (b"c", [b"d"])], fusesg.SegmentList([b"e"])]
        assert bytes(fusesg.SegmentList(nested)) == b"abcde"
        assert bytes(fusesg.SegmentList(piece for piece in nested)) == b"abcde"

    def test_one_segment_need_not_be_in_a_list(self):
        assert bytes(fusesg.SegmentList(b"abc")) == b"abc"
        assert bytes(fusesg.SegmentList(fusesg.Zeros(2))) == b"\0\0"

    def test_empty(self):
        for empty in ((), ([],), ([b""],), ([fusesg.Zeros(0)],)):
            segments = fusesg.SegmentList(*empty)
            assert len(segments) == 0
            assert not segments
            assert list(segments) == []

    def test_a_list_that_holds_itself_is_refused(self):
        loop = []
        loop.append(loop)
        with pytest.raises(ValueError, match="nested too deeply"):
            fusesg.SegmentList(loop)

    def test_a_list_longer_than_any_file_is_refused(self):
        half = fusesg.Zeros(2**62)
        assert len(fusesg.SegmentList([half])) == 2**62
        with pytest.raises(ValueError, match=r"at most 2\*\*63 - 1 bytes"):
            fusesg.SegmentList([half, half])
        with pytest.raises(MemoryError):
            fusesg.SegmentList([half]).tobytes()

    @pytest.mark.parametrize(
        ("data", "hint"),
        [
            (None, "not iterable|got None"),
            ("text", "got str; encode it first"),
            ([None], r"got None; return b\"\" at the end of the file"),
            ([5], "got int"),
            ([{"a": 1}], "got dict"),
        ],
    )
    def test_refuses_what_is_no_data(self, data, hint):
        if data is None:
            with pytest.raises(TypeError, match=hint):
                fusesg.SegmentList([]) + data
        else:
            with pytest.raises(TypeError, match=hint):
                fusesg.SegmentList(data)

    def test_repr_shows_no_content(self):
        segments = fusesg.SegmentList([b"secret", *[fusesg.Zeros(1)] * 20])
        assert "secret" not in repr(segments)
        assert "and 13 more" in repr(segments)

    def test_tobytes_ends_where_a_file_ends(self, path):
        backing = fusesg.Backing(path)
        segments = fusesg.SegmentList([backing.extent(len(BIG) - 5, 10), b"after"])
        assert segments.tobytes() == BIG[-5:]


class TestBuffers:
    """Buffers are shared with their owner, which they keep alive."""

    @pytest.mark.parametrize("size", [1, 1024, 1025, 8192])
    def test_any_buffer_will_do(self, size):
        data = BIG[:size]
        numbers = array.array("H", [1, 2, 3])
        for buffer in (data, bytearray(data), memoryview(data), memoryview(data)[::1]):
            assert bytes(fusesg.SegmentList([buffer])) == data
        assert bytes(fusesg.SegmentList([numbers])) == numbers.tobytes()
        with mmap.mmap(-1, 8192) as memory:
            memory[:5] = b"hello"
            assert bytes(fusesg.SegmentList([memory]).slice(0, 5)) == b"hello"

    def test_large_bytes_are_not_copied(self):
        data = bytes(100_000)
        before = sys.getrefcount(data)
        segments = fusesg.SegmentList([data])
        assert sys.getrefcount(data) == before + 1
        part = segments.slice(10, 20)
        del segments
        assert sys.getrefcount(data) == before + 1
        assert len(part) == 20
        del part
        assert sys.getrefcount(data) == before

    def test_memory_is_given_back_at_once(self):
        memory = mmap.mmap(-1, 8192)
        segments = fusesg.SegmentList([memory])
        (view,) = segments
        del segments
        with pytest.raises(BufferError):
            memory.close()
        del view
        memory.close()

    def test_a_shared_bytearray_cannot_be_resized(self):
        data = bytearray(100_000)
        segments = fusesg.SegmentList([data])
        with pytest.raises(BufferError):
            data.append(1)
        data[0] = 7
        assert bytes(segments.slice(0, 1)) == b"\x07"

    def test_a_small_bytearray_is_a_copy(self):
        data = bytearray(10)
        segments = fusesg.SegmentList([data])
        data[0] = 7
        data.append(1)
        assert bytes(segments) == bytes(10)

    def test_views_outlive_the_list(self):
        views = list(fusesg.SegmentList([BIG, b"small"]))
        gc.collect()
        assert [bytes(view) for view in views] == [BIG, b"small"]
        with pytest.raises(TypeError, match=r"read-only|cannot modify"):
            views[1][0] = 1

    def test_a_buffer_with_gaps_is_refused(self):
        with pytest.raises(BufferError, match="not contiguous"):
            fusesg.SegmentList([memoryview(BIG)[::2]])
