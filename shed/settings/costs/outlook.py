"""What a run will cost, before it is paid for, in the model's work.

In: params, how many records there are, and how long they are. Out: token passes of each costly stage, of which
`shed.settings.costs.times` makes seconds.

A token pass is what a forward pass does to one token; a backward pass is counted as another. Attention grows faster than the
length, so that a pass over long records is timed on such. Answers are written a token at a time, which is slower than reading:
a step of a batch counts as the token passes that take as long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from shed.data.records import Record
from shed.evaluation.generation import Writing
from shed.models.attention import SHORT
from shed.models.encoding import Encoder
from shed.params import Params
from shed.valuation.rating.ways import dev_passes, points_of
from shed.valuation.screening import counts

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # it is told, not written; see `shed.common.import_closure`
STEP, AN_ANSWER = 66, 2  # token passes that a step of writing takes, and each of its answers besides: benchmarks.writing_step
MOST = 500  # records of a split whose lengths are looked at


@dataclass(frozen=True)
class Lengths:
    """Mean tokens of a split's records.

    Attributes:
        tuned: of a record as it is tuned on.
        response: of its response alone.
        measured: of all that a utility over options or the evaluation reads: the record, or its prompt once and its options.
        longest: of the longest.
    """

    tuned: float
    response: float
    measured: float
    longest: int


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        params, splits, lengths: as `token_passes` takes them.
    """

    params: Params
    splits: Mapping[str, Sequence[Record]]
    lengths: Mapping[str, Lengths]

    @cached_property
    def passes(self) -> dict[str, float]:
        """Token passes of each stage that uses the model."""
        return token_passes(self.params, self.splits, self.lengths)

    @property
    def passes_that_read(self) -> float:
        """Those of rating that have no backward pass."""
        return 2 * _ways(self.params) * _rated(self.params, len(self.splits["pool"])) * self.lengths["pool"].tuned

    @property
    def passes_of_whole_pool(self) -> float:
        """Of a final tuning on all rows."""
        everything = self.params.model_copy(update={"sampler": "full"})
        return token_passes(everything, self.splits, self.lengths)["finetune"]

    @property
    def fine_tune(self) -> float:
        """Token passes of one fine-tune equivalent."""
        budget = self.params.score.budget.model_copy(update={"fte": 1.0, "evaluations": None})
        one = self.params.score.model_copy(update={"budget": budget, "method": "metagradient"})
        return token_passes(self.params.model_copy(update={"score": one}), self.splits, self.lengths)["score"]


def lengths_of(encoder: Encoder, records: Sequence[Record]) -> Lengths:
    """From the first 500 records."""
    some = records[:MOST]
    encoded = encoder.encode_all(some, end=True)
    tuned, response = [len(one.tokens) for one in encoded], [one.response_length for one in encoded]
    measured = []
    for record, length in zip(some, tuned, strict=True):
        own = encoder.encode_options(record)
        every = sum(len(one.tokens) for one in own)
        measured.append(every - sum(one.prompt_length for one in own[1:]) if own else length)
    return Lengths(float(np.mean(tuned)), float(np.mean(response)), float(np.mean(measured)), max(tuned))


def token_passes(params: Params, splits: Mapping[str, Sequence[Record]], lengths: Mapping[str, Lengths]) -> dict[str, float]:
    """Token passes of each costly stage: of the verdict's runs, each is `finetune` and half of `evaluate`.

    What ends scoring by minutes is not among them.
    """
    pool, dev = lengths["pool"], lengths["dev"]
    pass_and_back = 3 if pool.longest > SHORT else 2  # of long records, layers are run again for the backward pass
    regime, final, fidelity = params.regime, params.finetune, params.fidelity
    rows = _selected(params, len(splits["pool"]), pool.response)

    def tuning(records: float, epochs: int) -> float:
        return records * pool.tuned * epochs * pass_and_back

    def on_dev(most: int | None, choices: bool) -> float:
        return min(most or len(splits["dev"]), len(splits["dev"])) * (dev.measured if choices else dev.tuned)

    by_choice = {
        "choice_loss": True,
        "accuracy": True,
        None: all(record.choices for record in splits["dev"]),
        "dev_loss": False,
    }
    proxies = params.C * params.cluster.proxies_per_cluster
    scored_on = on_dev(params.score.dev_rows, by_choice[params.score.utility])
    audited_on = on_dev(params.score.dev_rows, by_choice[fidelity.target_utility])
    evaluation = _evaluation(params, splits, lengths)
    passes = {
        "score": fine_tune_equivalents(params) * (tuning(proxies, regime.epochs) + scored_on),
        "fidelity": fidelity.coalitions * (tuning(proxies / 2, regime.epochs) + scored_on)
        + (fidelity.target_coalitions or 0) * fidelity.target_draws * (tuning(proxies / 2, final.epochs) + audited_on),
        "finetune": tuning(rows, final.epochs),
        "evaluate": 2 * evaluation,  # the base model, and the tuned one
    }
    if not params.rate.warm_rows:
        return passes
    warm_rows, method = min(params.rate.warm_rows, len(splits["pool"])), params.rate.method
    warm, steps = tuning(warm_rows, regime.epochs), regime.epochs * ceil(warm_rows / regime.batch_size)
    on = on_dev(params.rate.dev_rows, by_choice[params.rate.utility])
    on *= dev_passes(method, regime.epochs, steps)
    return {"rate": warm + on + 2 * _ways(params) * _rated(params, len(splits["pool"])) * pool.tuned} | passes


def fine_tune_equivalents(params: Params) -> float:
    """What scoring may spend at most, in FTE; 0 where minutes alone end it."""
    score = params.score
    if score.method == "exact":
        return 2.0**params.C / 2
    own = score.removal.k * ceil(params.C / score.removal.n) / 2 if score.method == "removal" else float("inf")
    most = min(own, score.budget.fte or float("inf"), score.budget.evaluations or float("inf"))
    return most if np.isfinite(most) else 0.0


def _rated(params: Params, pool: int) -> int:
    """How many of so many records are rated."""
    return pool if params.rate.screen is None else counts(pool, params.rate.screen)[1]


def _ways(params: Params) -> int:
    """Along how many directions records are rated: at each point one, or one for each task where the worst of them counts."""
    data, points = params.data, points_of(params.rate.method, params.regime.epochs)
    if data.dev_combine == "mean" or not isinstance(data.dev, dict):
        return points
    return points * sum(task.weight > 0 for task in data.dev.values())


def _selected(params: Params, pool: int, response: float) -> float:
    """About how many rows are selected."""
    sample = params.sample
    if params.sampler == "full":
        return pool
    if sample.fraction is not None:
        return sample.fraction * pool
    return sample.rows or min(pool, (sample.tokens or 0) / response)


def _evaluation(params: Params, splits: Mapping[str, Sequence[Record]], lengths: Mapping[str, Lengths]) -> float:
    """Of one model: all that it reads, prompts once more for the answers that it writes, each as long as it may be."""
    own = params.evaluate
    writing = Writing(**own.written.model_dump())
    measured = [(split, records) for split in ("dev", "test") for records in _first_of_sources(splits[split], own.limit)]
    answers = {split: sum(len(writing.places(records)) for of, records in measured if of == split) for split, _ in measured}
    steps = ceil(sum(answers.values()) / own.batch_size) * writing.max_new_tokens
    read = sum(len(records) * lengths[split].measured for split, records in measured)
    prompts = sum(count * lengths[split].tuned for split, count in answers.items())
    return read + prompts + steps * (STEP + AN_ANSWER * own.batch_size)


def _first_of_sources(records: Sequence[Record], limit: int | None) -> list[list[Record]]:
    of_sources: dict[str, list[Record]] = {}
    for record in records:
        of_sources.setdefault(record.source, []).append(record)
    return [own[:limit] for own in of_sources.values()]
