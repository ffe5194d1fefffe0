import os

from fusesg import Passthrough

class Encrypted(Passthrough):
    """A directory whose files are kept encrypted.

    Args:
        source: The directory with the encrypted files.
        key: A file with the key of 64 bytes.
    """

    def __init__(
        self, source: str | os.PathLike[str], key: str | os.PathLike[str]
    ) -> None: ...
