"""How far a step on each pool record goes the way of each dev source, at one checkpoint: cosines of projected directions.

In: a trainer that holds pool and dev as candidates, and a checkpoint. Out: (N, S), of which memory holds no N × P.

A pool record's direction is Adam's step on it; a dev record's is its plain gradient. Both are projected, and scaled to length
one. The mean of the inner products with a source's dev records is the inner product with the mean of their directions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from experiments.less.directions import adam_steps, record_gradients
from experiments.less.projection import Projection
from experiments.less.warm_up import Checkpoint
from shed.common.errors import DivergenceError
from shed.engine.batches import halves
from shed.engine.coalition_trainer import CoalitionTrainer


def influences(
    trainer: CoalitionTrainer,
    checkpoint: Checkpoint,
    projection: Projection,
    pool: Sequence[int],
    dev: Mapping[str, Sequence[int]],
    advance: Callable[[int], object],
) -> np.ndarray:
    """(N, S) float64, for each pool record and each dev source the mean cosine with the source's records.

    Args:
        pool: places of the pool's records among the trainer's members and candidates.
        dev: those of each source's records.
        advance: is told how many more records are done.

    Raises:
        DivergenceError: a cosine is not finite.
        ShedError: the device has not enough memory for a single record.
    """
    (at,) = checkpoint.state.weights

    def plain(records: Sequence[int]) -> Tensor:
        return _units(projection(record_gradients(trainer, at, records)))

    def mean(records: Sequence[int]) -> Tensor:
        total = torch.zeros(projection.dimensions, dtype=at.dtype, device=at.device)
        for own, units in in_parts(trainer, records, plain):
            total += units.sum(dim=0)
            advance(len(own))
        return total / len(records)

    aims = torch.stack([mean(records) for records in dev.values()])

    def cosines(records: Sequence[int]) -> Tensor:
        steps = adam_steps(record_gradients(trainer, at, records), checkpoint, trainer.regime.momentum)
        return _units(projection(steps)) @ aims.T

    rows = {place: row for row, place in enumerate(pool)}
    found = np.empty((len(pool), len(dev)))
    for own, values in in_parts(trainer, pool, cosines):
        found[[rows[place] for place in own]] = values.double().cpu().numpy()
        advance(len(own))
    if not np.isfinite(found).all():
        raise DivergenceError(f"after {checkpoint.steps} steps of the warm-up gradients are not finite")
    return found


def in_parts(
    trainer: CoalitionTrainer, records: Sequence[int], function: Callable[[Sequence[int]], Tensor]
) -> Iterator[tuple[list[int], Tensor]]:
    """The function's values of records that go through the layers together, with these records; the longest come first."""
    lengths, cores = np.concatenate([trainer.lengths, trainer.candidate_lengths]), trainer.losses.cores
    order = sorted(records, key=lambda place: -lengths[place])
    runs = cores.share(order, lengths, cores.chunk_tokens)
    most = trainer.at_once  # each of them has LoRA weights of its own
    parts = [run[start : start + most] for run in runs for start in range(0, len(run), most)]
    with trainer.losses.backward_pass(int(lengths[order[0]])):
        yield from cores.each(lambda part: (part, function(part)), parts, halves)


def scores(by_epoch: Sequence[np.ndarray], rates: np.ndarray) -> np.ndarray:
    """(N,) the greatest, among dev sources, of the sums over epochs, each weighted by its share of the learning rates.

    Args:
        by_epoch: E arrays (N, S).
        rates: (E,) the mean learning rate of each epoch.
    """
    found: np.ndarray = np.tensordot(rates / rates.sum(), np.stack(by_epoch), axes=1).max(axis=1)
    return found


def _units(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=1)
