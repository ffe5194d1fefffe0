"""Values that cannot be."""

import stat

import fusesg

MODE = stat.S_IFREG | 0o644
attributes = fusesg.Attributes(inode=2, mode=MODE)
backing = fusesg.Backing("/etc/passwd")

fusesg.Attributes(inode=2)  # wrong: call-arg, reportCallIssue
fusesg.Attributes(mode="0644")  # wrong: arg-type, reportArgumentType
fusesg.Attributes(mode=MODE, mtime=1)  # wrong: call-arg, reportCallIssue
fusesg.Attributes(mode=MODE, mtime_ns=1.5)  # wrong: arg-type, reportArgumentType
fusesg.Attributes(2, MODE)  # wrong: call-arg, reportCallIssue
attributes.size = 5  # wrong: misc, reportAttributeAccessIssue
attributes.replace(length=5)  # wrong: call-arg, reportCallIssue

fusesg.Entry(2)  # wrong: arg-type, reportArgumentType
fusesg.Entry(attributes, entry_timeout="1")  # wrong: arg-type, reportArgumentType
fusesg.DirectoryEntry("name", 2)  # wrong: call-arg, reportCallIssue
fusesg.DirectoryEntry(2, "name", MODE)  # wrong: arg-type, reportArgumentType
fusesg.SetAttributes(ctime_ns=fusesg.NOW)  # wrong: arg-type, reportArgumentType
fusesg.FilesystemStatistics(bsize=4096)  # wrong: call-arg, reportCallIssue

fusesg.Zeros("1")  # wrong: arg-type, reportArgumentType
fusesg.SegmentList([1, 2])  # wrong: list-item, reportArgumentType
fusesg.SegmentList("text")  # wrong: arg-type, reportArgumentType
fusesg.Backing(None)  # wrong: arg-type, reportArgumentType
backing.extent("0")  # wrong: arg-type, reportArgumentType
fusesg.Extent(backing, 0, 1)  # wrong: call-arg, reportCallIssue
fusesg.BackingHandle("/etc/passwd")  # wrong: arg-type, reportArgumentType
fusesg.BytesHandle("text")  # wrong: arg-type, reportArgumentType
fusesg.Opened(None, keep=True)  # wrong: call-arg, reportCallIssue
fusesg.Fetch(b"bytes", 5)  # wrong: arg-type, reportArgumentType
fusesg.Fetch(lambda: b"bytes")  # wrong: call-arg, reportCallIssue


class MyEntry(fusesg.Entry):  # wrong: misc, reportGeneralTypeIssues
    """Values cannot be subclassed."""
