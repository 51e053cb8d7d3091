"""What work is given out to: workers that all hold the same loaded thing, and an engine that they come from.

In: nothing. Out: the contract alone, so that what gives work out need not know what runs the workers. Without an engine
all work is done in the process that asks for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


class Held(Protocol):
    """What a worker holds; its methods are what can be asked of it."""

    def facts(self) -> Any:
        """Plain values that must be equal in all workers, since numbers depend on them: the dtype, the device."""
        ...


class Load(Protocol):
    """How a worker comes to hold it: a small value that is sent to each worker.

    Attributes:
        code: the modules that compute its numbers, which must be the same in each worker.
    """

    @property
    def code(self) -> Sequence[str]: ...

    def load(self) -> Held: ...


class Workers(Protocol):
    """Processes that hold the same; work is done again elsewhere if one of them is lost."""

    def ask(self, method: str, *arguments: Any) -> Any:
        """What this method of any one of them gives."""
        ...

    def each(self, method: str, arguments: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Any]]:
        """The places among `arguments` and what the method gives for them, in the order in which they are done.

        Work begins now, and arguments are taken as workers come to them.
        """
        ...

    def shared(self, value: Any) -> Any:
        """What stands for a large value as an argument, so that it is sent to each machine once."""
        ...


class Engine(Protocol):
    """Where workers come from."""

    def holding(self, load: Load) -> AbstractContextManager[Workers]:
        """Workers that hold what is loaded, until the block ends.

        Raises:
            ShedError: there are none, or their versions are others.
        """
        ...
