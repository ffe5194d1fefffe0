"""The files of a web server: an async class, which fetches ranges in parallel.

    fusesg mount web.py:WebFilesystem MOUNTPOINT --set url=https://example.org/pub/

Needs the package httpx. Shows what the server lists, as Apache, nginx and their like do
(a directory redirects to its name with a slash, and answers a page of links), and reads
files from servers that answer ranges.
"""

import email.utils
import errno
import functools
import html
import re
import stat
from urllib.parse import quote, unquote, urlsplit

import httpx

import fusesg
from fusesg import Attributes, DirectoryEntry, Entry, Fetch

PIECE = 256 * 1024  # bytes of a request; those of one read are on their way together
BELIEVED = 60  # seconds for which a file is taken to be as the server told
LINK = re.compile(r'<a\s[^>]*href="(?:\./)?([^"/?#:]+/?)"', re.IGNORECASE)

ERRORS = {
    401: errno.EACCES,
    403: errno.EACCES,
    404: errno.ENOENT,
    410: errno.ENOENT,
    412: errno.ESTALE,  # not the version that was opened
    429: errno.EAGAIN,
}


class WebFilesystem(fusesg.PathFilesystem):
    """What is below `url`. The handle of an open file is the answer that told of it."""

    def __init__(self, url):
        self._url = url.rstrip("/")

    async def init(self):
        # in the loop that serves the callbacks
        self._client = httpx.AsyncClient(timeout=30)

    async def destroy(self):
        await self._client.aclose()

    async def _ask(self, method, path, **headers):
        try:
            url = self._url + quote(path, errors="surrogateescape")
            answer = await self._client.request(method, url, headers=headers)
        except httpx.TimeoutException:
            raise TimeoutError(errno.ETIMEDOUT, "the server is silent", path) from None
        except httpx.TransportError as error:
            raise OSError(errno.EHOSTUNREACH, str(error), path) from error
        if answer.is_error:
            number = ERRORS.get(answer.status_code, errno.EIO)
            raise OSError(number, f"the server says {answer.status_code}", path)
        return answer

    async def getattr(self, path, handle, ctx):
        answer = handle or await self._ask("HEAD", path)
        target = urlsplit(answer.headers.get("location", "")).path
        if path == "/" or (answer.is_redirect and target.endswith("/")):
            return Entry(Attributes(mode=stat.S_IFDIR | 0o555), BELIEVED, BELIEVED)
        if answer.is_redirect or "content-length" not in answer.headers:
            raise OSError(errno.EIO, "the server does not tell the size", path)
        size, time = int(answer.headers["content-length"]), 0
        if "last-modified" in answer.headers:
            date = email.utils.parsedate_to_datetime(answer.headers["last-modified"])
            time = int(date.timestamp()) * 10**9
        file = Attributes(mode=stat.S_IFREG | 0o444, size=size, mtime_ns=time)
        return Entry(file, BELIEVED, BELIEVED)

    async def readdir(self, path, handle, offset, ctx):
        page = (await self._ask("GET", path.rstrip("/") + "/")).text
        entries = {}
        for link in LINK.findall(page):
            name = unquote(html.unescape(link), errors="surrogateescape")
            if name.strip("/") not in {"", ".", ".."}:
                kind = stat.S_IFDIR if name.endswith("/") else stat.S_IFREG
                entries[name.rstrip("/")] = kind
        return [DirectoryEntry(name, 0, kind) for name, kind in entries.items()]

    async def open(self, path, flags, ctx):
        return await self._ask("HEAD", path)

    def read(self, path, handle, offset, size, ctx):
        end = min(offset + size, int(handle.headers["content-length"]))
        pieces = [(at, min(PIECE, end - at)) for at in range(offset, end, PIECE)]
        return [
            Fetch(functools.partial(self._fetch, path, handle, start, length), length)
            for start, length in pieces
        ]

    async def _fetch(self, path, handle, start, length):
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        tag = handle.headers.get("etag", "")
        if tag and not tag.startswith("W/"):
            headers["If-Match"] = tag
        answer = await self._ask("GET", path, **headers)
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            raise OSError(errno.EOPNOTSUPP, "the server does not answer ranges", path)
        return answer.content
