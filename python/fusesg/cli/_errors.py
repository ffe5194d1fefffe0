"""The error that ends a command."""


class CommandError(Exception):
    """A command cannot do what it was asked; the text says why and what to do."""
