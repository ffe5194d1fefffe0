"""The one exception that is shown as a line, without a traceback."""


class DashboardError(Exception):
    """What is wrong, and what to do about it."""
