"""The one error that a user is meant to read: what is wrong, where, and what to do, in one line."""


class ShedError(Exception):
    """Bad input or an impossible request; its message is the whole explanation."""
