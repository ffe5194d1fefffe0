"""Archives as file systems: what is mounted is what the standard library extracts."""

import io
import os
import random
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

import fusesg
from fusesg import archive

LARGE = random.Random(26).randbytes(3_000_000)


@pytest.fixture
def source(source):
    """A directory with what a tar may hold."""
    (source / "sub/deeper").mkdir(parents=True)
    (source / "empty directory").mkdir(mode=0o700)
    (source / "large").write_bytes(LARGE)
    (source / "sub/small").write_bytes(b"small")
    (source / "sub/deeper/empty").touch(mode=0o600)
    (source / "sub/ümläut").write_text("name")
    (source / ("long" * 60)).write_text("long name")
    (source / "link").symlink_to("sub/small")
    (source / "sub/dangling").symlink_to("../nowhere")
    os.link(source / "large", source / "sub/hard")
    os.utime(source / "sub/small", ns=(5 * 10**9, 1_234_567_890 * 10**9))
    return source


def described(root):
    """Every path below a directory with all that a tar keeps of it."""
    found = {}
    for directory, names, files in os.walk(root):
        for path in [Path(directory, name) for name in names + files]:
            status = path.lstat()
            content = None
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            links = 0 if stat.S_ISDIR(status.st_mode) else status.st_nlink
            found[str(path.relative_to(root))] = (
                stat.S_IFMT(status.st_mode) | stat.S_IMODE(status.st_mode),
                status.st_uid,
                status.st_gid,
                int(status.st_mtime),
                links,
                content,
            )
    return found


@pytest.mark.parametrize("kind", ["gnu", "pax", "ustar"])
def test_a_tar_is_what_it_extracts_to(mounted, mountpoint, tmp_path, source, kind):
    formats = {
        "gnu": tarfile.GNU_FORMAT,
        "pax": tarfile.PAX_FORMAT,
        "ustar": tarfile.USTAR_FORMAT,
    }
    path = tmp_path / "archive.tar"
    if kind == "ustar":
        (source / ("long" * 60)).unlink()
    with tarfile.open(path, "w", format=formats[kind]) as tar:
        tar.add(source, "")
    extracted = tmp_path / "extracted"
    with tarfile.open(path) as tar:
        tar.extractall(extracted, filter="fully_trusted")
        # tarfile leaves them with the time of extracting
        for link in (member for member in tar if member.issym()):
            times = (link.mtime, link.mtime)
            os.utime(extracted / link.name, times, follow_symlinks=False)
    expected = described(extracted)
    with mounted(archive.open_archive(path)) as mount:
        assert described(mountpoint) == expected
    assert mount.statistics()["python"]["callbacks"] == 0


@pytest.mark.parametrize(
    "settings", [{}, {"max_readahead": 1 << 20}, {"direct_io": True}], ids=str
)
def test_large_members_are_sent_without_a_copy(mounted, mountpoint, tmp_path, settings):
    # members begin at blocks of 512 bytes: a request touches a page more than it fills
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(8):
            member = tarfile.TarInfo(str(number))
            member.size = 1 << 20
            tar.addfile(member, io.BytesIO(LARGE[number : number + (1 << 20)]))
    with mounted(archive.open_archive(path), **settings) as mount:
        for number in range(8):
            content = (mountpoint / str(number)).read_bytes()
            assert content == LARGE[number : number + (1 << 20)]
    statistics = mount.statistics()
    copier = statistics["core"]["copier"]
    assert set(copier["not_spliced"].values()) == {0}
    assert (copier["refused"], copier["pipes"]["discarded"]) == (0, 0)
    # what is left behind the last whole request may be too little for a pipe
    assert copier["bytes_copied"] <= 8 * 32_768
    assert copier["bytes_spliced"] + copier["bytes_copied"] == 8 << 20
    if "direct_io" not in settings:
        operations = statistics["operations"]
        assert operations["open"]["count"] == 1
        assert "release" not in operations


def test_the_last_of_a_name_counts(mounted, mountpoint, tmp_path):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as tar:
        for content in (b"old", b"newer"):
            member = tarfile.TarInfo("./file")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with mounted(archive.open_tar(path)):
        assert (mountpoint / "file").read_bytes() == b"newer"
        assert os.listdir(mountpoint) == ["file"]


def test_what_is_no_file_or_leads_out_is_left_out(
    mounted, mountpoint, tmp_path, expect_log
):
    expect_log("3 members are left out")
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
        fifo = tarfile.TarInfo("fifo")
        fifo.type = tarfile.FIFOTYPE
        tar.addfile(fifo)
        tar.addfile(tarfile.TarInfo("../outside"))
        tar.addfile(tarfile.TarInfo("file/below"))
        tar.addfile(tarfile.TarInfo("/absolute"))
    with mounted(archive.open_tar(path)):
        assert sorted(os.listdir(mountpoint)) == ["absolute", "file"]


@pytest.mark.requires("program tar")
def test_sparse_files_and_extended_attributes(mounted, mountpoint, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "sparse", "wb") as file:
        file.seek(10 << 20)
        file.write(b"data")
        file.truncate(20 << 20)
    os.setxattr(source / "sparse", "user.name", b"value")
    path = tmp_path / "archive.tar"
    options = ["--sparse", "--xattrs", "--format=pax"]
    subprocess.run(["tar", *options, "-cf", path, "-C", source, "."], check=True)
    assert path.stat().st_size < 1 << 20
    with mounted(archive.open_tar(path)):
        found = mountpoint / "sparse"
        assert found.read_bytes() == (source / "sparse").read_bytes()
        assert found.stat().st_blocks < 100
        assert os.getxattr(found, "user.name") == b"value"


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_compressed_tar_is_refused(tmp_path, source, mode):
    path = tmp_path / f"archive.tar.{mode}"
    with tarfile.open(path, f"w:{mode}") as tar:
        tar.add(source, "")
    with pytest.raises(archive.ArchiveError, match="compressed; decompress it"):
        archive.open_archive(path)


@pytest.mark.parametrize("content", [b"", b"text", bytes(100), LARGE])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(archive.ArchiveError, match="not a tar or zip"):
        archive.open_archive(tmp_path / "file")


def test_a_truncated_tar_is_refused(tmp_path, source):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(source / "large", "large")
    os.truncate(path, 100_000)
    with pytest.raises(archive.ArchiveError):
        archive.open_tar(path)


def test_a_zip_of_stored_members(mounted, mountpoint, tmp_path, source):
    path = tmp_path / "archive.zip"
    files = {}
    with zipfile.ZipFile(path, "w") as target:
        for name in ("large", "sub/small", "sub/deeper/empty", "sub/ümläut"):
            target.write(source / name, name)
            files[name] = (source / name).read_bytes()
        target.write(source / "empty directory", "empty directory")
        link = zipfile.ZipInfo("sub/link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        target.writestr(link, "small")
    os.chmod(source / "sub/small", 0o640)
    with mounted(archive.open_archive(path)):
        for name, content in files.items():
            assert (mountpoint / name).read_bytes() == content
        assert (mountpoint / "empty directory").is_dir()
        assert os.readlink(mountpoint / "sub/link") == "small"
        mode = (mountpoint / "sub/deeper/empty").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
        assert (mountpoint / "sub/small").stat().st_mtime == 1_234_567_890


def test_a_zip_with_compressed_members_is_refused(tmp_path, source):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.write(source / "large", "stored")
        target.write(source / "large", "deflated", compress_type=zipfile.ZIP_DEFLATED)
    message = r"1 of 2 members are compressed .*'deflated'.*zip -0"
    with pytest.raises(archive.ArchiveError, match=message):
        archive.open_archive(path)


def test_a_zip_that_was_cut_in_the_middle_is_refused(tmp_path, source):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.write(source / "large", "large")
        target.write(source / "sub/small", "small")
    content = path.read_bytes()
    path.write_bytes(content[:1000] + content[2_000_000:])
    with pytest.raises(archive.ArchiveError):
        archive.open_archive(path)


def test_a_tree_of_an_archive_can_be_added_to(mounted, mountpoint, tmp_path, source):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(source, "")
    tree = archive.open_tar(path)
    assert isinstance(tree, fusesg.Tree)
    tree.add_file("README", b"what this is")
    with mounted(tree):
        assert (mountpoint / "README").read_bytes() == b"what this is"
        assert (mountpoint / "large").read_bytes() == LARGE
