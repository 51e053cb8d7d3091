"""What utility means: how good a model is on the dev records; higher is better, always.

In: dev records and the kind of utility. Out: a `DevSet`, the token sequences that a model must read, and the utility that
follows from their losses, as a sum with a term for each record.

Where the worst of dev's tasks counts, each task has such a sum of its own, and utility is the least gain among them: a model is
as good as it has become on the task on which it has gained least. Sums themselves say nothing of each other: an untuned model
has three nats per token on one task and one on another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.data.tasks.combining import Combine
from shed.data.tasks.weights import task_weights, worst_weights
from shed.models.encoding import Encoded, Encoder

UtilityKind = Literal["dev_loss", "choice_loss", "accuracy"]
NO_TASKS: Mapping[str, float] = MappingProxyType({})
UNITS: dict[UtilityKind, str] = {
    "dev_loss": "nats per response token",
    "choice_loss": "nats per question",
    "accuracy": "share of questions",
}


@dataclass(frozen=True)
class DevSet:
    """The dev records as a model reads them.

    Attributes:
        kind: `dev_loss`, −(mean nats per response token); `choice_loss`, −(mean cross-entropy over a question's options, whose
            scores are their log-probabilities per character); `accuracy`, the share of questions whose right option scores
            highest, lm-eval's acc_norm. Per token, options of one token would differ by many nats, and a tuning that makes
            all of them alike would lower the cross-entropy most.
        records: for each record the sequences that it is measured by: its own, or one for each option.
        answers: for each record the index of the right one among them.
        characters: for each record the lengths of its options.
        weights: (B,) what each record counts; by default each response token the same, or each question.
        tasks: for each record its task, from 0, where utility is the least gain among tasks; empty: dev has one sum.
    """

    kind: UtilityKind
    records: tuple[tuple[Encoded, ...], ...]
    answers: tuple[int, ...]
    characters: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    tasks: tuple[int, ...] = ()

    @property
    def by_task(self) -> list[list[int]]:
        """The records of each sum."""
        if not self.tasks:
            return [list(range(len(self.records)))]
        return [[i for i, own in enumerate(self.tasks) if own == task] for task in range(max(self.tasks) + 1)]

    @property
    def sequences(self) -> list[Encoded]:
        """All sequences, record by record."""
        return [sequence for record in self.records for sequence in record]

    def terms(self, nats: Tensor, records: Sequence[int]) -> Tensor:
        """(B,) what each of these records adds to utility, from the nats (S,) of all their sequences."""
        parts = torch.split(nats, [len(self.records[i]) for i in records])
        return torch.stack([self._term(part, i) for part, i in zip(parts, records, strict=True)])

    def _term(self, nats: Tensor, record: int) -> Tensor:
        weight = self.weights[record]
        if self.kind == "dev_loss":
            return -nats[0] * weight
        scores = -nats / torch.tensor(self.characters[record]).to(nats)
        right = self.answers[record]
        if self.kind == "choice_loss":
            return torch.log_softmax(scores, 0)[right] * weight
        best = (scores[right] >= scores).all() & scores.isfinite().all()
        return torch.where(best, weight, 0.0).to(nats) + 0 * nats.sum()  # NaN stays NaN


def dev_set(
    kind: UtilityKind,
    records: Sequence[Record],
    encoder: Encoder,
    tasks: Mapping[str, float] = NO_TASKS,
    combine: Combine = "mean",
) -> DevSet:
    """Encode dev records for a kind of utility.

    Args:
        tasks: the share of each task, by the records' sources: utility is the mean over tasks of each one's own; empty: of all
            records as one.
        combine: `worst`: utility is instead the least gain over the untuned model among the tasks that count.

    Raises:
        ShedError: a record cannot be encoded, `choice_loss` or `accuracy` is asked of a record without options, a task has no
            record, or the worst is asked of fewer than two tasks, or of tasks with weights of their own.
    """
    if kind != "dev_loss":
        without = [record for record in records if not record.choices]
        if without:
            raise ShedError(
                f"utility is {kind}, but {len(without)} of {len(records)} dev records have no choices, the first is "
                f"{without[0].id} ({without[0].origin}); use dev_loss or give them choices and answer"
            )
    encoded: list[tuple[Encoded, ...]] = []
    characters: list[tuple[int, ...]] = []
    for record in records:
        if kind == "dev_loss":
            encoded.append((encoder.encode(record, end=False),))
        else:
            encoded.append(tuple(encoder.encode_options(record)))
        characters.append(tuple(max(1, len(choice)) for choice in record.choices))
    answers = tuple(0 if kind == "dev_loss" else int(record.answer or 0) for record in records)
    sizes = [own.response_weight for (own,) in encoded] if kind == "dev_loss" else None
    if combine == "worst":
        weights, own_tasks = worst_weights(records, tasks, sizes)
        return DevSet(kind, tuple(encoded), answers, tuple(characters), tuple(weights.tolist()), tuple(own_tasks.tolist()))
    weights = task_weights(records, tasks, sizes)
    return DevSet(kind, tuple(encoded), answers, tuple(characters), tuple(weights.tolist()))
