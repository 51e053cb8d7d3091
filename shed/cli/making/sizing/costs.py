"""What a project would cost with some params, before it is made: the sum that `shed plan` does, of the rows looked at.

In: what the splits hold, default params, and how fast the model is. Out: seconds of each stage.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, overload

from shed.cli.making.folder import params_text
from shed.cli.making.sizing.look import Look
from shed.cli.making.sizing.tokens import folder_of
from shed.cli.running.forecast import seconds_of_all
from shed.common.errors import ShedError
from shed.data.records import Record
from shed.data.splitting.split_off import MOST, SHARE
from shed.models.specs import ModelSpec
from shed.params import Params, load_params
from shed.settings.costs.outlook import Lengths, Work
from shed.settings.costs.times import all_runs
from shed.valuation.costs.speed import Speed

FIRST_ROWS = ("fetch", "prepare", "embed", "quality", "lengths", "cluster", "rate", "score", "sample")  # to selected rows
READ, TUNED = 1.19e-3, 1.54e-3  # seconds of a token pass of the packaged model on two cores: benchmarks/planned_times.json
CORES = 2  # that these were measured on
IDLE = 1.15  # of processor seconds a core, the wall's: some work is done by one core while the others wait
UNKNOWN = 300  # records of a split of which nothing says how many it has


@dataclass(frozen=True)
class Costs:
    """The costs of a project with these splits.

    Attributes:
        looks: of pool, dev and test; those that are not there are split off the pool.
        params: all of them, before they are sized.
        speed: of the model.
        there: rows of the pool that may be selected from, if none is set aside.
    """

    looks: Mapping[str, Look]
    params: Params
    speed: Speed
    there: int

    def seconds(self, changes: Mapping[str, Any]) -> dict[str, float]:
        """Of each stage, with these values of params by their dotted names."""
        params = self.params
        for key, value in changes.items():
            params = _with(params, key.split("."), value)
        pool = self.looks["pool"]
        drawn = min(params.data.pool_rows or self.there, self.there)
        context = params.model.max_tokens
        splits: dict[str, Sequence[Record]] = {"pool": _Repeated(pool.first, drawn)}
        lengths = {"pool": _lengths(pool, context)}
        for split in ("dev", "test"):
            own = self.looks.get(split)
            rows = min(MOST, (pool.rows or MOST * SHARE) // SHARE) if own is None else own.rows or UNKNOWN
            rows = max(1, min(rows, getattr(params.data, f"{split}_rows") or rows))
            splits[split], lengths[split] = _Repeated((own or pool).first, rows), _lengths(own or pool, context)
        read = sum(own.rows or UNKNOWN for own in self.looks.values())
        return seconds_of_all(Work(params, splits, lengths), read, self.speed, all_runs(params))

    def first(self, changes: Mapping[str, Any]) -> float:
        """Seconds to the first selected rows."""
        own = self.seconds(changes)
        return sum(own[stage] for stage in FIRST_ROWS)


def reference(cores: int) -> Speed:
    """Of the packaged model on so many cores, as far as it follows from a measurement on two."""
    read, tuned = [READ * CORES / cores], [TUNED * CORES / cores]
    return Speed(read, tuned, read, tuned, 0, 0, 0, 0, 0)


def defaults(changes: Mapping[str, Any]) -> Params:
    """The params of a new project, with these values.

    Raises:
        ShedError: a value is refused.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        path.write_text(params_text(changes), encoding="utf-8")
        try:
            return load_params(path)
        except ShedError as error:
            raise ShedError(str(error).removeprefix(f"{path}: ")) from error


def timed(params: Params, looks: Mapping[str, Look]) -> Speed | None:
    """The model's speed on this machine, in some seconds; None of a model that is not on it, or that cannot be timed.

    Without a GPU it follows from processor seconds, as it would be if nothing else ran here: sizes stay, and other work ends.
    """
    import torch

    from shed.valuation.costs.speed import measure
    from stages.shared.settings.regime import scoring_regime

    folder, own = folder_of(params.model.name), params.model
    if not folder.is_dir():
        return None
    pool, cores = looks["pool"].first, os.cpu_count() or 1
    clock = time.perf_counter if torch.cuda.is_available() else lambda: IDLE * time.process_time() / cores
    try:
        spec = ModelSpec(own.name, own.prompt, own.max_tokens)
        return measure(spec, pool, looks.get("dev", looks["pool"]).first, scoring_regime(params, params.score.seed), clock)
    except ShedError:  # what is wrong with the model `shed check` tells; here is only an estimate
        return None


class _Repeated(Sequence[Record]):
    """So many records, of which some were read: these come again and again."""

    def __init__(self, some: Sequence[Record], count: int) -> None:
        self._some, self._count = some, count if some else 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Record]:
        return (self._some[place % len(self._some)] for place in range(self._count))

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        places = range(self._count)[index]
        if isinstance(places, int):
            return self._some[places % len(self._some)]
        return [self._some[place % len(self._some)] for place in places]


def _lengths(own: Look, context: int) -> Lengths:
    """Mean tokens, as the context cuts records."""
    whole = [min(tokens, context) for tokens, _, _ in own.counted]
    response = [min(trained, context) for _, trained, _ in own.counted]
    measured = [cut + options for cut, (_, _, options) in zip(whole, own.counted, strict=True)]
    return Lengths(fmean(whole), fmean(response), fmean(measured), round(max(whole)))


def _with(section: Any, path: Sequence[str], value: Any) -> Any:
    first, *rest = path
    return section.model_copy(update={first: _with(getattr(section, first), rest, value) if rest else value})
