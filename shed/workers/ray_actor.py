"""One worker under Ray: a process that holds what it has loaded, and answers what is asked of it.

In: a `Load`, then calls of methods by name. Out: a `Reply` to each: errors that a user is meant to read are values here, since
Ray would wrap them in its own.

Ray sends arguments and replies between driver and workers by its own serialisation, which is pickle: whoever can reach a
cluster can run code on it, so that it must be trusted. Nothing pickled is read from a file.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from shed.workers.contract import Held, Load

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}  # as in `stages`
MOST_SAID = 200  # characters of a library's message


class Reply(NamedTuple):
    """What came of a call: a value; or in words a fault of the input (`setting` as `ShedError` has it), or lack of memory."""

    kind: Literal["value", "fault", "memory"]
    value: Any = None
    message: str = ""
    setting: str | None = None


class HoldingWorker:
    """What runs in the process of a worker.

    Args:
        threads: how many of torch's threads it has; they decide how work is cut up, and so the last bits of numbers.
        folder: where the driver runs; relative paths are from there if this machine has it, too.
    """

    def __init__(self, threads: int, folder: str) -> None:
        for name, value in ENVIRONMENT.items():  # before torch starts, which reads the first
            os.environ.setdefault(name, value)
        import torch

        torch.set_num_threads(threads)
        if os.path.isdir(folder):  # noqa: PTH112 (nothing else here needs pathlib)
            os.chdir(folder)
        self._held: Held | None = None

    def versions(self, code: Sequence[str]) -> dict[str, str]:
        """What must be the same here as in the driver."""
        from shed.workers.sameness import versions

        return versions(code)

    def load(self, load: Load) -> Reply:
        """Hold it from now on; the reply's value is its facts."""

        def loaded() -> Any:
            self._held = held = load.load()
            return held.facts()

        return _reply(loaded)

    def call(self, method: str, *arguments: Any) -> Reply:
        """What this method of what is held gives."""
        return _reply(lambda: getattr(self._held, method)(*arguments))


def _reply(call: Callable[[], Any]) -> Reply:
    import torch

    from shed.common.errors import ShedError

    try:
        return Reply("value", call())
    except ShedError as error:
        return Reply("fault", None, str(error), error.setting)
    except (MemoryError, torch.OutOfMemoryError) as error:
        return Reply("memory", None, " ".join(f"{type(error).__name__}: {error}".split())[:MOST_SAID])
