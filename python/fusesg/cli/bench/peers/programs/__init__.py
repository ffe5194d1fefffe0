"""The programs that are compared: each shows a directory at a mount point.

They are started by their paths as `PROGRAM [...] SOURCE MOUNTPOINT`, perhaps by another
Python than ours, and serve until they are unmounted. What they have in common:

- The operations that are measured, and what the check of the bytes needs. Each does at
  once what `os` does with a path or a descriptor. A file is kept open from `open` to
  `release`; O_DIRECT is for the kernel, not for the file behind.
- Names and attributes are believed for a second, which is the default of libfuse and of
  fusesg. What a library recommends for speed is switched on, and said in its program.
"""
