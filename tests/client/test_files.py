"""The client's methods against those of os, on the same directory."""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

import fusesg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fusesg.testing import MakeClient


@pytest.fixture
def source(source: Path) -> Path:
    (source / "file").write_bytes(b"content")
    (source / "directory").mkdir()
    (source / "directory" / "inner").write_bytes(b"inner")
    (source / "link").symlink_to("directory/inner")
    (source / "dangling").symlink_to("nothing")
    (source / "loop").symlink_to("loop")
    return source


@pytest.fixture
def client(fuse_client: MakeClient, source: Path) -> fusesg.Client:
    return fuse_client(fusesg.Passthrough(source))


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the class and errno of what it raises."""
    try:
        result = call()
    except OSError as error:
        return type(error), error.errno
    return result.replace("\\", "/") if isinstance(result, str) else result


def same(client: fusesg.Client, source: Path, name: str, *arguments: Any) -> Any:
    """Calls a method of the client, and the function of os on a copy of the tree."""
    expected = outcome(
        lambda: getattr(os, name)(
            *(f"{source}/{one}" if isinstance(one, str) else one for one in arguments)
        )
    )
    found = outcome(lambda: getattr(client, name)(*arguments))
    assert found == expected, (name, arguments)
    return found


PATHS = [
    "file", "file/", "file/x", "file/.", "directory", "directory/", "directory/.",
    "link", "link/", "dangling", "loop", "nothing", "nothing/x", "directory/../file",
    ".", "", "x" * 256, "./directory//inner", "directory/inner/..",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_paths_lead_where_those_of_the_system_do(
    client: fusesg.Client, source: Path, path: str
) -> None:
    def of_os(function: Callable[..., os.stat_result]) -> Any:
        result = outcome(lambda: function(f"{source}/{path}" if path else ""))
        return comparable(result) if isinstance(result, os.stat_result) else result

    def of_client(function: Callable[..., os.stat_result]) -> Any:
        result = outcome(lambda: function(path))
        return comparable(result) if isinstance(result, os.stat_result) else result

    assert of_client(client.stat) == of_os(os.stat)
    assert of_client(client.lstat) == of_os(os.lstat)


def comparable(result: os.stat_result) -> tuple[int, ...]:
    return (
        result.st_mode, result.st_ino, result.st_nlink, result.st_uid, result.st_gid,
        result.st_size, result.st_mtime_ns, result.st_ctime_ns, result.st_blocks,
        result.st_blksize, result.st_rdev,
    )  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "flags",
    [
        os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_DIRECTORY,
        os.O_RDONLY | os.O_NOFOLLOW, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL,
        os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW,
    ],
)  # fmt: skip
def test_open_fails_as_that_of_the_system(
    client: fusesg.Client, tmp_path: Path, source: Path, path: str, flags: int
) -> None:
    def opened(function: Callable[..., int], close: Any, path: str) -> Any:
        found = outcome(lambda: function(path, flags, 0o644))
        if isinstance(found, int):
            close(found)
            return "opened"
        return found

    # the system's first: both may create the file
    twin = tmp_path / "twin"
    os.system(f"cp -a '{source}' '{twin}'")
    expected = opened(os.open, os.close, f"{twin}/{path}" if path else "")
    assert opened(client.open, client.close, path) == expected


def test_names(client: fusesg.Client, source: Path) -> None:
    client.mkdir("new", 0o700)
    assert stat.S_IMODE((source / "new").stat().st_mode) == 0o700
    with pytest.raises(FileExistsError) as raised:
        client.mkdir("new")
    assert raised.value.filename == "new"
    client.makedirs("/new/a/b")
    client.rename("file", "new/a/b/moved")
    assert (source / "new/a/b/moved").read_bytes() == b"content"
    with pytest.raises(FileNotFoundError) as raised:
        client.rename("file", "other")
    assert (raised.value.filename, raised.value.filename2) == ("file", "other")
    with pytest.raises(OSError, match="Directory not empty"):
        client.rmdir("new")
    with pytest.raises(IsADirectoryError):
        client.unlink("new")
    with pytest.raises(NotADirectoryError):
        client.rmdir("link")
    client.link("link", "hard", follow_symlinks=True)
    assert client.stat("hard").st_nlink == 2
    client.symlink("hard", "soft")
    assert client.readlink("soft") == "hard"
    with pytest.raises(OSError, match="Invalid argument"):
        client.readlink("hard")
    with pytest.raises(OSError, match="Invalid argument"):
        client.rename("new", "new/a/new")
    client.rename("hard", "soft", flags=fusesg.RENAME_EXCHANGE)
    assert client.readlink("hard") == "hard"
    with pytest.raises(FileExistsError):
        client.rename("hard", "soft", flags=fusesg.RENAME_NOREPLACE)
    assert sorted(client.listdir("/")) == sorted(os.listdir(source))
    walked = {
        (path, tuple(sorted(names)), tuple(sorted(files)))
        for path, names, files in client.walk("/")
    }
    expected = {
        (path.removeprefix(str(source)) or "/", tuple(sorted(d)), tuple(sorted(f)))
        for path, d, f in os.walk(source)
    }
    # os.walk lists a link to a directory as a directory
    assert walked == expected


def test_entries_carry_attributes(client: fusesg.Client) -> None:
    lookups = client.statistics()["operations"].get("lookup", {"count": 0})["count"]
    with client.scandir("/") as entries:
        found = {entry.name: entry for entry in entries}
    assert found["file"].stat().st_size == 7
    assert found["file"].is_file()
    assert found["directory"].is_dir()
    now = client.statistics()["operations"].get("lookup", {"count": 0})["count"]
    assert now == lookups, "READDIRPLUS told it"
    assert found["link"].is_symlink()
    assert found["link"].is_file()
    assert not found["dangling"].is_file()
    assert found["link"].stat().st_size == 5


def test_attributes(client: fusesg.Client, source: Path) -> None:
    client.chmod("file", 0o640)
    assert stat.S_IMODE((source / "file").stat().st_mode) == 0o640
    client.utime("file", ns=(1, 2_000_000_001))
    assert (source / "file").stat().st_mtime_ns == 2_000_000_001
    client.utime("link", (5, 6.5), follow_symlinks=False)
    assert (source / "link").lstat().st_mtime == 6.5
    client.truncate("file", 3)
    assert (source / "file").read_bytes() == b"con"
    with pytest.raises(IsADirectoryError):
        client.truncate("directory", 0)
    with pytest.raises(OSError, match="length=-1") as raised:
        client.truncate("file", -1)
    assert raised.value.errno == errno.EINVAL
    assert client.access("file", os.R_OK | os.W_OK)
    assert not client.access("nothing", os.F_OK)
    numbers = client.statvfs("/")
    assert numbers.f_bsize == os.statvfs(source).f_bsize


def test_extended_attributes(client: fusesg.Client, source: Path) -> None:
    try:
        os.setxattr(source / "file", "user.probe", b"")
    except OSError:
        pytest.skip("the file system of the test has no extended attributes")
    client.setxattr("file", "user.name", b"value", os.XATTR_CREATE)
    assert os.getxattr(source / "file", "user.name") == b"value"
    assert client.getxattr("file", "user.name") == b"value"
    assert sorted(client.listxattr("file")) == ["user.name", "user.probe"]
    with pytest.raises(OSError, match="No data"):
        client.getxattr("link", "user.name", follow_symlinks=False)
    with pytest.raises(PermissionError):
        client.setxattr("link", "user.name", b"", follow_symlinks=False)
    client.removexattr("file", "user.name")
    with pytest.raises(OSError, match="No data"):
        client.getxattr("file", "user.name")


def test_positions_and_appending(client: fusesg.Client, source: Path) -> None:
    fd = client.open("file", os.O_RDWR)
    other = client.open("file", os.O_WRONLY | os.O_APPEND)
    assert client.read(fd, 3) == b"con"
    assert client.lseek(fd, -2, os.SEEK_END) == 5
    assert client.write(fd, b"NT!") == 3
    assert client.write(other, b"more") == 4
    assert client.pwrite(other, b"+", 0) == 1, "at the end whatever the offset is"
    assert (source / "file").read_bytes() == b"conteNT!more+"
    assert client.read(fd, 100) == b"more+"
    assert client.read(fd, 100) == b""
    client.ftruncate(fd, 2)
    assert client.fstat(fd).st_size == 2
    client.fsync(fd)
    client.fdatasync(fd)
    target = client.create("copy")
    assert client.copy_file_range(fd, target, 10, 0) == 2
    assert (source / "copy").read_bytes() == b"co"
    client.fallocate(fd, 0, 0, 8192)
    assert client.fstat(fd).st_size == 8192
    assert client.lseek(fd, 0, os.SEEK_DATA) == 0
    for descriptor in (fd, other, target):
        client.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(fd)


def test_a_file_that_is_unlinked_stays_readable(client: fusesg.Client) -> None:
    with client.open_file("file") as file:
        client.unlink("file")
        assert file.read() == b"content"


def test_file_objects_work_with_the_standard_library(client: fusesg.Client) -> None:
    with client.open_file("text", "w") as raw:
        text = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
        text.write("grüße\n" * 10_000)
        text.close()
    with client.open_file("text") as raw:
        lines = list(io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8"))
    assert lines == ["grüße\n"] * 10_000
    with client.open_file("archive.zip", "x+b") as raw, zipfile.ZipFile(raw, "w") as z:
        z.writestr("name", b"data" * 10_000)
    with client.open_file("archive.zip") as raw, zipfile.ZipFile(raw) as z:
        assert z.read("name") == b"data" * 10_000
    with client.open_file("archive.tar", "w+") as raw:
        with tarfile.open(fileobj=raw, mode="w") as tar:
            member = tarfile.TarInfo("name")
            member.size = 5
            tar.addfile(member, io.BytesIO(b"12345"))
        raw.seek(0)
        with tarfile.open(fileobj=raw) as tar:
            extracted = tar.extractfile("name")
            assert extracted is not None
            assert extracted.read() == b"12345"
    with client.open_file("text", "a") as raw:
        assert raw.tell() == raw.seek(0, os.SEEK_END)
        with pytest.raises(io.UnsupportedOperation):
            raw.read(1)
        with pytest.raises(io.UnsupportedOperation):
            raw.fileno()
    with pytest.raises(ValueError, match="closed"):
        raw.write(b"")
    with pytest.raises(ValueError, match="mode='rw'"):
        client.open_file("text", "rw")


def test_what_the_kernel_refuses_for_the_user_is_refused(
    fuse_client: MakeClient, source: Path
) -> None:
    (source / "file").chmod(0o600)
    (source / "directory").chmod(0o700)
    if os.geteuid() != 0:
        pytest.skip("needs root")
    client = fuse_client(fusesg.Passthrough(source), uid=12345, gid=12345)
    with pytest.raises(PermissionError):
        client.open("file", os.O_RDONLY)
    with pytest.raises(PermissionError):
        client.stat("directory/inner")
    with pytest.raises(PermissionError):
        client.mkdir("new")
    with pytest.raises(PermissionError):
        client.unlink("file")
    with pytest.raises(PermissionError):
        client.chmod("file", 0o777)
    with pytest.raises(PermissionError):
        client.setxattr("file", "user.name", b"")
    with pytest.raises(PermissionError):
        client.getxattr("file", "user.name")
    source.chmod(0o1777)
    client.mkdir("new")
    assert (source / "new").stat().st_uid == 12345
    with pytest.raises(PermissionError):
        client.rename("file", "new/file")
    client.rmdir("new")


def test_read_only(fuse_client: MakeClient, source: Path) -> None:
    client = fuse_client(fusesg.Passthrough(source), read_only=True)
    for call in (
        lambda: client.mkdir("new"),
        lambda: client.open("file", os.O_WRONLY),
        lambda: client.create("new"),
        lambda: client.chmod("file", 0),
        lambda: client.unlink("file"),
        lambda: client.setxattr("file", "user.x", b""),
    ):
        with pytest.raises(OSError, match="Read-only"):
            call()
