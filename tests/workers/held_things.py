"""Things that a worker may hold, which need no model: one that gives answers, and ones that fail."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from shed.common.errors import ShedError
from shed.models.specs import ModelSpec
from shed.workers.sameness import ModelThere


@dataclass(frozen=True)
class LoadThing:
    """Loads a thing; `fails` is how, `facts` what it says of itself, by the number of the worker if it is a list."""

    fails: str = ""
    facts: str = "all alike"
    code: Sequence[str] = ()

    def load(self) -> "Thing":
        if self.fails == "model":
            ModelThere(ModelSpec("/no/such/model", "plain", 10), {"config.json": "0"}).check()
        return Thing(self.facts)


class Thing:
    """Answers in several ways."""

    def __init__(self, facts: str) -> None:
        self._facts = facts

    def facts(self) -> str:
        return f"process {os.getpid()}" if self._facts == "all differ" else self._facts

    def double(self, number: int) -> int:
        return 2 * number

    def slow_double(self, number: int) -> tuple[int, int]:
        time.sleep(0.3)
        return 2 * number, os.getpid()

    def memory(self, number: int) -> int:
        raise MemoryError(f"no room for {number}")

    def die(self, number: int) -> int:
        os._exit(number)

    def fault(self, number: int) -> int:
        raise ShedError(f"{number} is refused", "learning rate")
