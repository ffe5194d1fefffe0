from fusesg import Filesystem

class Hello(Filesystem):
    """A directory with one file."""
