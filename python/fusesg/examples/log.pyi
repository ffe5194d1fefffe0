from fusesg import Filesystem, Mount

class LogFilesystem(Filesystem):
    """A log that grows while programs read it."""

    mount: Mount | None
    """Where it is mounted, so that programs learn of new lines at once."""

    def __init__(self) -> None: ...
    def append(self, line: bytes) -> None:
        """Adds a line; may be called from any thread, in callbacks too."""
