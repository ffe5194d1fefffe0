from fusesg import PathFilesystem

class WebFilesystem(PathFilesystem):
    """The files that a web server lists.

    Args:
        url: Of the directory that is the root.
    """

    def __init__(self, url: str) -> None: ...
