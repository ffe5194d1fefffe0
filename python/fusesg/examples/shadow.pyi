from fusesg import Passthrough

class Shadow(Passthrough):
    """A directory whose files are read in another way."""
