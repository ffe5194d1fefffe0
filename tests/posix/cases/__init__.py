"""What programs expect of a file system: one function per behaviour.

Each module is a group, each public function in it takes an empty directory and fails
if the file system there behaves otherwise. None needs pytest or fusesg, so that they
run on any directory; `tests/posix/targets.py` tells on which they do.

The bytes in them have no lower-case letters: the example file system that capitalises
what it reads is tested by the same functions.
"""
