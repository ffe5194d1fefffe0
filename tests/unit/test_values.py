"""The value classes: what they accept, refuse and give back."""

import copy
import fcntl
import math
import os
import re
import stat
import threading

import pytest

import fusesg

FILE = stat.S_IFREG | 0o644
DIRECTORY = stat.S_IFDIR | 0o755


def attributes(**fields):
    return fusesg.Attributes(**{"inode": 7, "mode": FILE, **fields})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: attributes(sise=1),
            "Attributes has no argument 'sise'; did you mean 'size'?",
        ),
        (lambda: attributes().replace(sise=1), "did you mean 'size'?"),
        (lambda: fusesg.SetAttributes(mtime=1), "did you mean 'mtime_ns'?"),
        (
            lambda: fusesg.FilesystemStatistics(blok_size=1),
            "did you mean 'block_size'?",
        ),
        (lambda: fusesg.Opened(1, keepcache=True), "did you mean 'keep_cache'?"),
        (lambda: fusesg.Context(uuid=1), "did you mean 'uid'?"),
        (
            lambda: fusesg.Entry(attributes(), entry_timout=1),
            "did you mean 'entry_timeout'?",
        ),
        (
            lambda: fusesg.DirectoryEntry("a", 1, FILE, nextoffset=1),
            "did you mean 'next_offset'?",
        ),
        (lambda: fusesg.Lock(fcntl.F_RDLCK, strat=1), "did you mean 'start'?"),
        (
            lambda: fusesg.Backing("/dev/null", imutable=True),
            "did you mean 'immutable'?",
        ),
        (
            lambda: fusesg.Backing("/dev/null", quick=True),
            "Backing has no argument 'quick'; it takes source, writable, immutable",
        ),
        (lambda: fusesg.Memory(siez=1), "Memory has no argument 'siez'; did you mean"),
        (lambda: fusesg.Tree(moed=1), "did you mean 'mode'?"),
        (lambda: fusesg.Passthrough("/", sorce=1), "did you mean 'source'?"),
        (
            lambda: fusesg.Client(fusesg.Memory(), max_writ=1),
            "did you mean 'max_write'",
        ),
    ],
)
def test_a_slip_in_a_keyword_is_told(make, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        make()


def test_the_subclass_is_not_blamed():
    class Small(fusesg.Memory):
        def __init__(self, **arguments):
            super().__init__(**arguments)

    with pytest.raises(TypeError, match=r"^Memory has no argument 'siez'"):
        Small(siez=1)


class TestAttributes:
    def test_fields_come_back_as_given(self):
        fields = {
            "inode": 2**64 - 1,
            "mode": stat.S_IFCHR | 0o7777,
            "size": 2**63 - 1,
            "nlink": 3,
            "uid": 2**32 - 1,
            "gid": 5,
            "rdev": os.makedev(4095, 1048575 & 0xFFFFF),
            "blocks": 9,
            "blksize": 512,
            "atime_ns": -1,
            "mtime_ns": 2**63 * 10**9 - 1,
            "ctime_ns": -(2**63) * 10**9,
        }
        made = fusesg.Attributes(**fields)
        assert {name: getattr(made, name) for name in fields} == fields

    def test_defaults(self):
        made = fusesg.Attributes(mode=FILE, size=1025, mtime_ns=5)
        assert (made.inode, made.nlink, made.rdev) == (0, 1, 0)
        assert made.blocks == 3
        assert (made.uid, made.gid) == (os.geteuid(), os.getegid())
        assert (made.atime_ns, made.ctime_ns) == (5, 5)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"mode": 0o644}, r"mode=0o644 has no file type"),
            ({"mode": 0o200000}, r"mode=65536 is not within 0 … 65535"),
            ({"size": -1}, r"size=-1 is not within 0 … 9223372036854775807"),
            ({"size": 2**63}, r"size=9223372036854775808 is not within"),
            ({"size": 10**5000}, r"size=<a very large number> is not within"),
            ({"uid": 2**32}, r"uid=4294967296 is not within 0 … 4294967295"),
            ({"blksize": 0}, r"blksize=0 is not within 1 … "),
            ({"mtime_ns": 2**63 * 10**9}, r"mtime_ns=\d+ is out of range"),
            ({"mtime_ns": 2**200}, r"mtime_ns=.* is out of range"),
        ],
    )
    def test_refuses_values_out_of_range(self, fields, message):
        with pytest.raises(ValueError, match=message):
            attributes(**fields)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"size": 1.5}, r"size: expected an int, got float"),
            ({"mode": "0644"}, r"mode: expected an int, got str"),
            ({"mtime_ns": 1.5}, r"mtime_ns: expected an int \(nanoseconds.*got float"),
        ],
    )
    def test_refuses_other_types(self, fields, message):
        with pytest.raises(TypeError, match=message):
            attributes(**fields)

    def test_takes_what_stat_returns(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(bytes(5000))
        os.utime(path, ns=(-1_500_000_000, 1_234_567_890_123_456_789))
        st = path.stat()
        made = fusesg.Attributes.from_stat(st)
        assert (made.inode, made.mode, made.size) == (st.st_ino, st.st_mode, 5000)
        assert (made.nlink, made.uid, made.gid) == (st.st_nlink, st.st_uid, st.st_gid)
        assert (made.blocks, made.blksize) == (st.st_blocks, st.st_blksize)
        assert made.atime_ns == st.st_atime_ns == -1_500_000_000
        assert (made.mtime_ns, made.ctime_ns) == (st.st_mtime_ns, st.st_ctime_ns)
        assert fusesg.Attributes.from_stat(st, inode=9).inode == 9

    def test_device_numbers_are_those_of_the_standard_library(self):
        st = os.stat("/dev/null")
        assert fusesg.Attributes.from_stat(st).rdev == os.makedev(1, 3)

    def test_replace_changes_a_copy(self):
        old = attributes(size=10)
        new = old.replace(size=5000, mode=DIRECTORY)
        assert (new.size, new.blocks, new.mode) == (5000, 10, DIRECTORY)
        assert (old.size, old.mode) == (10, FILE)
        with pytest.raises(TypeError, match="no argument 'length'"):
            old.replace(length=1)
        with pytest.raises(ValueError, match="size=-1"):
            old.replace(size=-1)

    def test_is_a_value(self):
        assert attributes(size=1) == attributes(size=1)
        assert attributes(size=1) != attributes(size=2)
        assert len({attributes(size=1), attributes(size=1)}) == 1
        assert "size=1" in repr(attributes(size=1))
        with pytest.raises(AttributeError):
            attributes().size = 3


class TestEntry:
    def test_fields(self):
        made = fusesg.Entry(attributes(), 1.5, attribute_timeout=0, generation=3)
        assert made.attributes == attributes()
        assert (made.entry_timeout, made.attribute_timeout) == (1.5, 0.0)
        assert (made.inode, made.generation) == (7, 3)

    def test_no_timeout_means_the_default_of_the_mount(self):
        made = fusesg.Entry(attributes())
        assert made.entry_timeout is None
        assert made.attribute_timeout is None

    def test_infinity_is_allowed(self):
        assert fusesg.Entry(attributes(), math.inf).entry_timeout > 10**9

    @pytest.mark.parametrize("timeout", [-0.1, math.nan, -math.inf])
    def test_refuses_impossible_timeouts(self, timeout):
        with pytest.raises(ValueError, match=r"entry_timeout=.* is not within"):
            fusesg.Entry(attributes(), timeout)

    def test_may_leave_the_inode_to_a_file_system_of_paths(self):
        assert fusesg.Entry(attributes(inode=0)).inode == 0

    def test_wants_attributes(self):
        with pytest.raises(TypeError):
            fusesg.Entry(7)

    def test_is_a_value(self):
        assert fusesg.Entry(attributes(), 1) == fusesg.Entry(attributes(), 1.0)
        assert fusesg.Entry(attributes(), 1) != fusesg.Entry(attributes(), 2)
        assert hash(fusesg.Entry(attributes())) == hash(fusesg.Entry(attributes()))


class TestDirectoryEntry:
    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFLNK | 0o777])
    def test_type_is_a_mode_or_its_type_bits(self, kind):
        assert fusesg.DirectoryEntry("a", 2, kind).type == stat.S_IFLNK

    def test_of_takes_inode_and_type_from_the_entry(self):
        entry = fusesg.Entry(attributes(mode=DIRECTORY))
        made = fusesg.DirectoryEntry.of("a", entry, next_offset=4)
        assert (made.inode, made.type, made.next_offset) == (7, stat.S_IFDIR, 4)
        assert made.entry == entry

    @pytest.mark.parametrize(
        "name", ["plain", "äöü", "\udcff\udc80x", "\N{PILE OF POO}", "a" * 255]
    )
    def test_names_survive_as_str_and_as_bytes(self, name):
        assert fusesg.DirectoryEntry(name, 2, FILE).name == name
        assert fusesg.DirectoryEntry(os.fsencode(name), 2, FILE).name == name

    def test_takes_a_path(self, tmp_path):
        name = tmp_path.relative_to(tmp_path.parent)
        assert fusesg.DirectoryEntry(name, 2, FILE).name == tmp_path.name

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("", "name is empty"),
            ("a/b", "contains a slash"),
            ("a\0b", "contains a NUL"),
            ("a" * 256, "name has 256 bytes, at most 255"),
            ("ä" * 128, "name has 256 bytes, at most 255"),
            ("\ud800", "surrogates not allowed"),
        ],
    )
    def test_refuses_names_that_no_directory_has(self, name, message):
        with pytest.raises(ValueError, match=message):
            fusesg.DirectoryEntry(name, 2, FILE)

    @pytest.mark.parametrize("name", [None, 5, bytearray(b"a")])
    def test_refuses_names_of_other_types(self, name):
        with pytest.raises(TypeError, match="name: expected str, bytes or a path"):
            fusesg.DirectoryEntry(name, 2, FILE)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"inode": -1}, "inode=-1 is not within 0"),
            ({"type": 0}, "names no file type"),
            ({"next_offset": 0}, "next_offset=0 is not within 1"),
            ({"next_offset": 2**63}, "next_offset="),
        ],
    )
    def test_refuses_values_out_of_range(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            fusesg.DirectoryEntry(
                **{"name": "a", "inode": 2, "type": FILE, **arguments}
            )


class TestFilesystemStatistics:
    def test_takes_what_statvfs_returns(self):
        st = os.statvfs("/")
        made = fusesg.FilesystemStatistics.from_statvfs(st)
        assert (made.block_size, made.fragment_size) == (st.f_bsize, st.f_frsize)
        assert (made.blocks, made.blocks_free) == (st.f_blocks, st.f_bfree)
        assert made.blocks_available == st.f_bavail
        assert (made.files, made.files_free) == (st.f_files, st.f_ffree)
        assert (made.files_available, made.name_max) == (st.f_favail, st.f_namemax)

    def test_defaults_are_sane(self):
        made = fusesg.FilesystemStatistics(block_size=512, blocks_free=3, files_free=4)
        assert (made.fragment_size, made.name_max) == (512, 255)
        assert (made.blocks_available, made.files_available) == (3, 4)
        assert made == fusesg.FilesystemStatistics(
            block_size=512, blocks_free=3, files_free=4
        )

    def test_refuses_a_block_size_of_0(self):
        with pytest.raises(ValueError, match="block_size=0 is not within 1"):
            fusesg.FilesystemStatistics(block_size=0)


class TestSetAttributes:
    def test_leaves_what_is_not_given(self):
        changes = fusesg.SetAttributes(size=3)
        assert changes.size == 3
        others = ("mode", "uid", "gid", "atime_ns", "mtime_ns", "ctime_ns")
        assert [getattr(changes, name) for name in others] == [None] * 6
        assert changes.kill_suid_sgid is False
        assert repr(changes) == "SetAttributes(size=3)"

    def test_now_is_one_object(self):
        changes = fusesg.SetAttributes(atime_ns=fusesg.NOW, mtime_ns=5)
        assert changes.atime_ns is fusesg.NOW
        assert changes.mtime_ns == 5
        assert copy.deepcopy(fusesg.NOW) is fusesg.NOW
        assert repr(changes) == "SetAttributes(atime_ns=fusesg.NOW, mtime_ns=5)"

    def test_apply_makes_the_changes(self):
        old = attributes(mode=FILE, size=1, uid=1, gid=2, mtime_ns=1)
        changes = fusesg.SetAttributes(
            mode=0o4711, uid=3, size=1000, atime_ns=fusesg.NOW, mtime_ns=50
        )
        new = changes.apply(old, now_ns=100)
        assert new == old.replace(
            mode=stat.S_IFREG | 0o4711,
            uid=3,
            size=1000,
            atime_ns=100,
            mtime_ns=50,
            ctime_ns=100,
        )

    def test_apply_of_a_size_alone_sets_the_modification_time(self):
        new = fusesg.SetAttributes(size=0).apply(attributes(mtime_ns=1), now_ns=9)
        assert (new.atime_ns, new.mtime_ns, new.ctime_ns) == (1, 9, 9)

    @pytest.mark.parametrize(
        ("before", "after"), [(0o6755, 0o0755), (0o6745, 0o2745), (0o1777, 0o1777)]
    )
    def test_apply_clears_privileges(self, before, after):
        changes = fusesg.SetAttributes(kill_suid_sgid=True)
        new = changes.apply(attributes(mode=stat.S_IFREG | before))
        assert stat.S_IMODE(new.mode) == after


class TestLock:
    def test_reaches_to_the_end_of_the_file_by_default(self):
        lock = fusesg.Lock(fcntl.F_WRLCK)
        assert (lock.start, lock.end, lock.pid) == (0, fusesg.Lock.END_OF_FILE, 0)
        assert lock.type == fcntl.F_WRLCK
        assert "F_WRLCK" in repr(lock)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"type": 77}, "type=77 is none of"),
            ({"type": fcntl.F_RDLCK, "start": 5, "end": 4}, "end=4 is not within 5"),
            ({"type": fcntl.F_RDLCK, "pid": -1}, "pid=-1 is not within 0"),
        ],
    )
    def test_refuses_impossible_locks(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            fusesg.Lock(**arguments)


class TestOpened:
    def test_flags(self):
        handle = object()
        opened = fusesg.Opened(handle, keep_cache=True, nonseekable=True)
        assert opened.handle is handle
        assert opened.keep_cache
        assert opened.nonseekable
        others = ("direct_io", "no_flush", "parallel_direct_writes", "cache_directory")
        assert not any(getattr(opened, name) for name in others)
        assert repr(fusesg.Opened(3, direct_io=True)) == "Opened(3, direct_io=True)"
        opened = fusesg.Opened(3, keep_cache=False, nonseekable=True)
        assert repr(opened) == "Opened(3, keep_cache=False, nonseekable=True)"

    def test_what_is_not_said_is_for_the_mount_to_decide(self):
        opened = fusesg.Opened(3, direct_io=False, no_flush=True)
        assert opened.direct_io is False
        assert opened.no_flush is True
        assert opened.keep_cache is None
        assert opened.parallel_direct_writes is None
        assert opened.cache_directory is None
        assert opened.nonseekable is False

    def test_flags_are_named(self):
        with pytest.raises(TypeError):
            fusesg.Opened(3, True)


class TestContext:
    def test_one_made_by_hand_stands_for_this_process(self):
        ctx = fusesg.Context()
        assert (ctx.uid, ctx.gid) == (os.geteuid(), os.getegid())
        assert ctx.pid == os.getpid()
        assert (ctx.umask, ctx.unique, ctx.open_flags, ctx.write_flags) == (0, 0, 0, 0)
        assert ctx.lock_owner is None
        assert ctx.cancelled is False

    def test_fields(self):
        ctx = fusesg.Context(uid=1, gid=2, pid=3, umask=0o22, lock_owner=2**64 - 1)
        assert (ctx.uid, ctx.gid, ctx.pid, ctx.umask) == (1, 2, 3, 0o22)
        assert ctx.lock_owner == 2**64 - 1
        with pytest.raises(ValueError, match="umask=512 is not within 0"):
            fusesg.Context(umask=0o1000)


class TestPassthrough:
    """The native methods as a subclass reaches them, without a mount."""

    @pytest.fixture
    def ctx(self):
        return fusesg.Context()

    def test_a_subclass_may_use_the_name_source(self, tmp_path):
        class Mine(fusesg.Passthrough):
            def __init__(self, source):
                super().__init__(source)
                self.source = ("mine", source)

        assert Mine(tmp_path).source == ("mine", tmp_path)

    def test_methods_work_on_the_directory(self, tmp_path, ctx):
        (tmp_path / "file").write_bytes(b"hello")
        shown = fusesg.Passthrough(tmp_path)
        assert shown.source == str(tmp_path)
        assert shown.lookup(1, "absent", ctx) is None

        entry = shown.lookup(1, "file", ctx)
        st = os.stat(tmp_path / "file")
        assert entry.attributes == fusesg.Attributes.from_stat(st)

        opened = shown.open(entry.inode, os.O_RDWR, ctx)
        assert isinstance(opened.handle, fusesg.NativeHandle)
        data = shown.read(entry.inode, opened, 1, 100, ctx)
        assert data.tobytes() == b"ello"
        assert shown.write(entry.inode, opened.handle, 5, bytearray(b" you"), ctx) == 4
        assert (tmp_path / "file").read_bytes() == b"hello you"
        assert shown.getattr(entry.inode, opened, ctx).size == 9
        changes = fusesg.SetAttributes(size=2, mode=0o600)
        assert shown.setattr(entry.inode, changes, None, ctx).size == 2
        assert stat.S_IMODE(os.stat(tmp_path / "file").st_mode) == 0o600
        shown.release(entry.inode, opened, ctx)

    def test_names_links_and_attributes(self, tmp_path, ctx):
        shown = fusesg.Passthrough(os.fsencode(tmp_path))
        directory = shown.mkdir(1, "d", 0o755, ctx)
        link = shown.symlink(directory.inode, "l\udcff", "target\udcfe", ctx)
        assert os.readlink(tmp_path / "d" / "l\udcff") == "target\udcfe"
        assert shown.readlink(link.inode, ctx) == "target\udcfe"
        entry, opened = shown.create(1, "f", 0o644, os.O_RDWR, ctx)
        assert shown.link(entry.inode, directory.inode, "g", ctx).inode == entry.inode
        shown.rename(1, "f", directory.inode, "h", 0, ctx)
        assert sorted(os.listdir(tmp_path / "d")) == ["g", "h", "l\udcff"]
        shown.unlink(directory.inode, "g", ctx)
        with pytest.raises(OSError, match="not empty"):
            shown.rmdir(1, "d", ctx)
        assert shown.write(entry.inode, opened, 0, b"data", ctx) == 4
        assert shown.lseek(entry.inode, opened, 0, os.SEEK_HOLE, ctx) == 4
        assert shown.statfs(1, ctx).name_max == os.statvfs(tmp_path).f_namemax
        fifo = shown.mknod(1, "p", stat.S_IFIFO | 0o600, 0, ctx)
        assert stat.S_ISFIFO(fifo.attributes.mode)

    def test_extended_attributes(self, tmp_path, ctx):
        (tmp_path / "file").touch()
        shown = fusesg.Passthrough(tmp_path)
        entry = shown.lookup(1, "file", ctx)
        inode = entry.inode
        shown.setxattr(inode, "user.name", memoryview(b"value"), 0, ctx)
        assert shown.getxattr(inode, "user.name", ctx) == b"value"
        assert "user.name" in shown.listxattr(inode, ctx)
        shown.removexattr(inode, "user.name", ctx)
        with pytest.raises(OSError, match="No data available"):
            shown.getxattr(inode, "user.name", ctx)

    def test_listing(self, tmp_path, ctx):
        names = {f"file{number}" for number in range(300)}
        for name in names:
            (tmp_path / name).touch()
        shown = fusesg.Passthrough(tmp_path)
        opened = shown.opendir(1, 0, ctx)
        entries = shown.readdir(1, opened, 0, ctx)
        assert {entry.name for entry in entries} == names | {".", ".."}
        tenth = entries[9]
        rest = shown.readdir(1, opened, tenth.next_offset, ctx)
        assert [entry.name for entry in rest] == [entry.name for entry in entries[10:]]
        shown.releasedir(1, opened, ctx)

    def test_errors_are_the_proper_oserror(self, tmp_path, ctx):
        shown = fusesg.Passthrough(tmp_path)
        with pytest.raises(FileNotFoundError) as caught:
            shown.unlink(1, "absent", ctx)
        assert caught.value.strerror == "No such file or directory"
        shown.mkdir(1, "d", 0o755, ctx)
        with pytest.raises(FileExistsError):
            shown.mkdir(1, "d", 0o755, ctx)

    def test_source_must_be_a_directory(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError, match="file"):
            fusesg.Passthrough(tmp_path / "file")
        with pytest.raises(FileNotFoundError, match="absent"):
            fusesg.Passthrough(tmp_path / "absent")

    def test_a_relative_source_survives_chdir(self, tmp_path, ctx, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.chdir(tmp_path)
        shown = fusesg.Passthrough(".")
        monkeypatch.chdir("/")
        assert shown.lookup(1, "file", ctx) is not None

    def test_other_handles_are_refused(self, tmp_path, ctx):
        shown = fusesg.Passthrough(tmp_path)
        with pytest.raises(TypeError, match=r"handle: expected what super\(\)\.open"):
            shown.read(1, 5, 0, 10, ctx)

    def test_an_open_file_that_is_dropped_is_closed(self, tmp_path, ctx):
        (tmp_path / "file").touch()
        shown = fusesg.Passthrough(tmp_path)
        entry = shown.lookup(1, "file", ctx)
        before = len(os.listdir("/proc/self/fd"))
        opened = [shown.open(entry.inode, os.O_RDONLY, ctx) for _ in range(5)]
        assert len(os.listdir("/proc/self/fd")) > before
        del opened
        assert len(os.listdir("/proc/self/fd")) == before

    def test_an_entry_keeps_its_inode_known(self, tmp_path, ctx):
        (tmp_path / "file").touch()
        shown = fusesg.Passthrough(tmp_path)
        assert shown.lookup(1, "absent", ctx) is None
        before = len(os.listdir("/proc/self/fd"))
        entries = [shown.lookup(1, "file", ctx) for _ in range(3)]
        inode = entries[0].inode
        del entries[1:]
        assert shown.getattr(inode, None, ctx) == entries[0].attributes
        assert len(os.listdir("/proc/self/fd")) == before + 1
        del entries
        assert len(os.listdir("/proc/self/fd")) == before

    def test_a_subclass_has_its_own_constructor(self, tmp_path, ctx):
        class Renamed(fusesg.Passthrough):
            def __init__(self, prefix, source):
                super().__init__(source)
                self.prefix = prefix

            def lookup(self, parent, name, ctx):
                return super().lookup(parent, name.removeprefix(self.prefix), ctx)

        (tmp_path / "file").touch()
        assert Renamed("x-", tmp_path).lookup(1, "x-file", ctx) is not None

    def test_a_forgotten_super_init_is_told(self, ctx):
        class Broken(fusesg.Passthrough):
            def __init__(self):
                pass

        with pytest.raises(RuntimeError, match=r"call super\(\)\.__init__\(source\)"):
            Broken().lookup(1, "a", ctx)

    def test_works_in_a_forked_child(self, tmp_path, ctx):
        (tmp_path / "file").touch()
        shown = fusesg.Passthrough(tmp_path)
        shown.lookup(1, "file", ctx)
        child = os.fork()
        if child == 0:
            try:
                found = shown.lookup(1, "file", ctx)
                opened = shown.open(found.inode, os.O_RDONLY, ctx)
                os._exit(0 if opened else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_the_gil_is_free_meanwhile(self, tmp_path, ctx):
        """A lookup in one thread while another one runs Python code in between."""
        (tmp_path / "file").touch()
        shown = fusesg.Passthrough(tmp_path)
        found = []

        def look():
            found.extend(shown.lookup(1, "file", ctx) for _ in range(200))

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 800
