"""What a name was probably meant to be.

In: a name that is not known, and those that are. Out: a question for a message.
"""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like one, capitals aside; None if none is like it."""
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.75)
    return by_lower[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'prompt'? ` with a space behind, or "" if no known name is like it."""
    close = nearest(name, known)
    return "" if close is None else f"did you mean {close!r}? "
