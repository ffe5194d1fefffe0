"""The error that ends a command."""


class CommandError(Exception):
    """A command cannot do what it was asked; the text says why and what to do."""


class UsageError(CommandError):
    """What was asked cannot be understood, or cannot be had together."""
