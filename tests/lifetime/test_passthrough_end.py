"""What a passthrough holds of its source, it gives back when its last mount ends."""

import contextlib
import os

import fusesg


def descriptors_below(source):
    """What this process has open in the source, besides the source itself."""
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    found = {os.readlink(link) for link in links if os.path.lexists(link)}
    return {path for path in found if path.startswith(f"{source}/")}


def walk(mount):
    for number in range(20):
        assert os.stat(f"{mount.path}/file{number}").st_size == 4


def test_inodes_are_let_go_though_the_object_lives(tmp_path, mounted):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(20):
        (source / f"file{number}").write_text("text")
    filesystem = fusesg.Passthrough(source)
    with mounted(filesystem) as mount:
        walk(mount)
        assert len(descriptors_below(source)) == 20
    assert not descriptors_below(source)
    with mounted(filesystem) as mount:  # and it can be mounted again
        walk(mount)
    assert not descriptors_below(source)


def test_files_that_the_kernel_did_not_close_are_closed(tmp_path, mounted):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("text")
    filesystem = fusesg.Passthrough(source)
    with mounted(filesystem) as mount:
        descriptor = os.open(f"{mount.path}/file", os.O_RDONLY)
        assert descriptors_below(source)
        mount.abort()
        assert mount.wait(10)
    with contextlib.suppress(OSError):  # ENOTCONN: there is nobody to flush to
        os.close(descriptor)
    assert not descriptors_below(source)


def test_another_mount_of_the_object_goes_on(tmp_path, mounted):
    source, other = tmp_path / "source", tmp_path / "other"
    source.mkdir()
    other.mkdir()
    (source / "file").write_text("text")
    filesystem = fusesg.Passthrough(source)
    with mounted(filesystem, at=other) as second, mounted(filesystem) as first:
        os.stat(f"{first.path}/file")
        with open(f"{second.path}/file") as file:
            first.unmount()
            assert file.read() == "text"
    assert not descriptors_below(source)


def test_an_entry_kept_beyond_the_end_takes_nothing_from_the_next_mount(
    tmp_path, mounted
):
    kept = []

    class Keeping(fusesg.Passthrough):
        def lookup(self, parent, name, ctx):
            kept.append(super().lookup(parent, name, ctx))
            return super().lookup(parent, name, ctx)

    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("text")
    filesystem = Keeping(source)
    with mounted(filesystem) as mount:
        os.stat(f"{mount.path}/file")
    with mounted(filesystem, attribute_timeout=0) as mount:
        descriptor = os.open(f"{mount.path}/file", os.O_RDONLY)
        kept.clear()
        assert os.fstat(descriptor).st_size == 4
        assert os.stat(f"/proc/self/fd/{descriptor}").st_size == 4
        os.close(descriptor)
