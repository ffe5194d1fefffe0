"""Numbers of the kernel's that the standard library has no names for."""

ROOT_INODE = 1
"""Inode number of the root directory of every file system."""

RENAME_NOREPLACE = 1 << 0
"""Flag of `Filesystem.rename`: fail with EEXIST rather than replace the target."""

RENAME_EXCHANGE = 1 << 1
"""Flag of `Filesystem.rename`: exchange source and target; both must exist."""
