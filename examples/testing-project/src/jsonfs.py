"""A JSON document as a file system: objects and arrays are directories.

fusesg mount jsonfs.py:JsonFilesystem MOUNTPOINT --set path=DOCUMENT.json
"""

import json
import stat

import fusesg
from fusesg import Attributes, DirectoryEntry, Entry


class JsonFilesystem(fusesg.Filesystem):
    """The document at `path`, read once."""

    keep_cache = True  # nothing ever changes

    def __init__(self, path):
        # by inode, of which 0 is none and 1 the root
        self._names: list[dict[str, int]] = [{}]
        self._texts = [b""]
        with open(path, encoding="utf-8") as document:
            self._add(json.load(document))

    def _add(self, value):
        inode = len(self._names)
        self._names.append({})
        self._texts.append(b"")
        if isinstance(value, list):
            value = {str(index): item for index, item in enumerate(value)}
        if isinstance(value, dict):
            self._names[inode] = {key: self._add(item) for key, item in value.items()}
        else:
            self._texts[inode] = json.dumps(value).encode() + b"\n"
        return inode

    def _attributes(self, inode):
        if text := self._texts[inode]:  # no value is written as nothing
            return Attributes(inode=inode, mode=stat.S_IFREG | 0o444, size=len(text))
        return Attributes(inode=inode, mode=stat.S_IFDIR | 0o555)

    def lookup(self, parent, name, ctx):
        inode = self._names[parent].get(name)
        return None if inode is None else Entry(self._attributes(inode))

    def getattr(self, inode, handle, ctx):
        return self._attributes(inode)

    def readdir(self, inode, handle, offset, ctx):
        for name, child in self._names[inode].items():
            if name not in {"", ".", ".."} and "/" not in name:  # no file is named so
                yield DirectoryEntry.of(name, Entry(self._attributes(child)))

    def read(self, inode, handle, offset, size, ctx):
        return self._texts[inode][offset : offset + size]
