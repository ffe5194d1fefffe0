"""examples/web.py shows what a web server lists, and fetches ranges in parallel."""

from __future__ import annotations

import errno
import http.server
import os
import re
import threading
from pathlib import Path

import pytest

from fusesg.examples.web import PIECE, WebFilesystem


class Handler(http.server.SimpleHTTPRequestHandler):
    """The server of the standard library, which lacks ranges and versions."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not match or not self.server.has_ranges:
            super().do_GET()
            return
        start, last = int(match[1]), int(match[2])
        self.server.ranges.append((start, last - start + 1))
        self.server.gather()
        if self.headers.get("If-Match", self._tag(path)) != self._tag(path):
            self.send_error(412)
            return
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(last - start + 1)
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def end_headers(self):
        path = Path(self.translate_path(self.path))
        if self.command == "HEAD" and path.is_file():
            self.send_header("ETag", self._tag(path))
        super().end_headers()

    def _tag(self, path):
        return f'"{path.stat().st_mtime_ns}"'

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves a directory; `together` requests for ranges wait for each other."""

    daemon_threads = True
    has_ranges = True
    request_queue_size = 64

    def __init__(self, directory):
        self.ranges = []
        self.together = None

        def handler(*arguments):
            return Handler(*arguments, directory=os.fspath(directory))

        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def gather(self):
        if self.together is not None:
            self.together.wait(10)


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    (site / "sub dir").mkdir(parents=True)
    (site / "large").write_bytes(os.urandom(4 * PIECE + 5))
    (site / "sub dir/ä & b#1.txt").write_text("text")
    os.utime(site / "sub dir/ä & b#1.txt", (0, 1_000_000_000))
    return site


@pytest.fixture
def server(site):
    server = Server(site)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mnt(fuse_mount, server):
    # what a read asks for is what the program asks for
    return Path(fuse_mount(WebFilesystem(server.url), direct_io=True).path)


def test_it_shows_what_is_listed(mnt, site):
    assert sorted(os.listdir(mnt)) == ["large", "sub dir"]
    assert (mnt / "sub dir").is_dir()
    assert os.listdir(mnt / "sub dir") == ["ä & b#1.txt"]
    assert (mnt / "sub dir/ä & b#1.txt").read_text() == "text"
    status = (mnt / "sub dir/ä & b#1.txt").stat()
    assert (status.st_size, status.st_mtime) == (4, 1_000_000_000)
    assert (mnt / "large").read_bytes() == (site / "large").read_bytes()
    with pytest.raises(FileNotFoundError):
        (mnt / "missing").read_bytes()


def test_the_pieces_of_a_read_are_fetched_together(mnt, site, server):
    content = (site / "large").read_bytes()
    with open(mnt / "large", "rb", buffering=0) as file:
        server.together = threading.Barrier(3)
        assert os.pread(file.fileno(), 2 * PIECE + 1, 7) == content[7 : 2 * PIECE + 8]
        server.together = None
        assert sorted(server.ranges) == [
            (7, PIECE),
            (7 + PIECE, PIECE),
            (7 + 2 * PIECE, 1),
        ]
        assert os.pread(file.fileno(), 100, 4 * PIECE) == content[4 * PIECE :]


def test_another_version_is_not_mixed_in(mnt, site):
    with open(mnt / "large", "rb", buffering=0) as file:
        assert len(file.read(10)) == 10
        os.utime(site / "large", (0, 1))
        with pytest.raises(OSError, match=re.escape(os.strerror(errno.ESTALE))):
            file.read(10)


def test_a_server_without_ranges_is_told_of(mnt, server):
    server.has_ranges = False
    with pytest.raises(OSError, match="not supported"):
        (mnt / "large").read_bytes()


def test_a_server_that_is_gone_is_told_of(fuse_mount):
    mount = fuse_mount(WebFilesystem("http://127.0.0.1:1/"))
    with pytest.raises(OSError, match="No route to host"):
        os.listdir(mount.path)
