"""The one error that a user is meant to read: what is wrong, where, and what to do, in one line.

A library knows no file of params. An error that a setting would mend names the setting in plain words (`learning rate`), and
whoever knows where it is set, as a stage does, adds the place.
"""

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


class ShedError(Exception):
    """Bad input or an impossible request; its message is the whole explanation.

    Attributes:
        setting: the setting to change, in plain words, if there is one.
    """

    def __init__(self, message: str, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class DivergenceError(ShedError):
    """A tuning ended in numbers that are not finite.

    Args:
        what: what diverged, and what is missing without it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; lower the learning rate", "learning rate")
