"""Known faults: records that are damaged on purpose, to see whether a selection keeps them.

In: a pool, a share and kinds of faults. Out: the pool with damaged records in their places, and the kind of each by its id;
later, of scores and a selection, how well they tell faults.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import pandas as pd

from shed.common.errors import ShedError
from shed.data.keeping.spool import with_changes
from shed.data.records import Record

Fault = Literal["swapped", "wrong_option", "truncated", "duplicate"]


def damage(
    pool: Sequence[Record], share: float, kinds: Sequence[Fault], sources: Sequence[str] | None, seed: int
) -> tuple[Sequence[Record], dict[str, Fault]]:
    """Damage a share of the records of some sources.

    Kinds take turns: `swapped`, the response of another record; `wrong_option`, a wrong one of the record's choices;
    `truncated`, the first half of the response's words; `duplicate`, a near-copy of another record (an exact one would be
    that record) in this one's place. A record that a kind does not fit (no choices, one word) is swapped.

    Args:
        sources: where faults may be; None: everywhere.

    Raises:
        ShedError: there is no such source, or the share comes to no fault at all.

    Returns:
        The pool in its order, and the fault of each damaged record. A record whose damaged form stands in the pool already
        stays as it is.
    """
    if not share:
        return pool, {}
    known, there, eligible = set(), set(), []
    for place, record in enumerate(pool):
        known.add(record.id)
        there.add(record.source)
        if (sources is None or record.source in sources) and record.messages[-1].trained:  # elsewhere it would do nothing
            eligible.append(place)
    if unknown := set(sources or ()) - there:
        raise ShedError(
            f"the pool has no source {', '.join(sorted(unknown))} to damage; it has {', '.join(sorted(there))}", "fault sources"
        )
    rng = random.Random(f"{seed}/faults")
    chosen = rng.sample(eligible, round(share * len(eligible)))
    sound = sorted(set(eligible) - set(chosen)) or eligible
    copied = rng.sample(sound, len(sound))
    damaged: dict[int, Record] = {}
    faults: dict[str, Fault] = {}
    for turn, place in enumerate(chosen):
        record, donor = pool[place], pool[chosen[turn - 1]]
        made, kind = _damaged(record, kinds[turn % len(kinds)], donor, pool[copied[turn % len(copied)]], rng)
        if made.id in known or made.response == record.response:
            continue
        known.add(made.id)
        damaged[place], faults[made.id] = made, kind
    if not faults:
        raise ShedError(f"a share of {share} damages none of {len(eligible)} records; raise it or set it to 0", "fault share")
    return with_changes(pool, damaged), faults


def fault_detection(
    scores: pd.Series,
    ratings: pd.Series,
    sources: pd.Series,
    faulty: Collection[str],
    selected: Mapping[str, Sequence[str]],
) -> dict[str, float | None]:
    """How scores, ratings and selections deal with faults.

    Args:
        scores: of each pool record, by its id; a record has its cluster's.
        ratings: its own, by its id; NaN where nothing is rated.
        sources: its source, by its id.
        selected: ids of the records that were selected, by what each selection is called.

    Returns:
        `faulty_share_of_` the pool and each selection; `auroc_of_scores` and `auroc_of_ratings`, the probability that a sound
        record has a higher one than a faulty one (equal ones count half); and `auroc_of_ratings_within_sources`, that of pairs
        of one source, which is of use where whole sources differ in worth. None where there are no such pairs or no ratings.
    """
    from sklearn.metrics import roc_auc_score

    is_faulty = scores.index.isin(list(faulty))
    mixed = is_faulty.any() and not is_faulty.all()

    def auroc(values: pd.Series) -> float | None:
        return float(roc_auc_score(~is_faulty, values)) if mixed and values.notna().all() else None

    def within(groups: pd.Series) -> float | None:
        won, pairs = 0.0, 0
        for _, own in ratings.groupby(groups.to_numpy()):
            bad = own.index.isin(list(faulty))
            count = int(bad.sum() * (~bad).sum())
            if count and own.notna().all():
                won, pairs = won + count * float(roc_auc_score(~bad, own)), pairs + count
        return won / pairs if pairs else None

    return {
        "faulty_share_of_pool": float(is_faulty.mean()),
        **{f"faulty_share_of_{name}": sum(id in faulty for id in ids) / len(ids) for name, ids in selected.items()},
        "auroc_of_scores": auroc(scores),
        "auroc_of_ratings": auroc(ratings),
        "auroc_of_ratings_within_sources": within(sources),
    }


def _damaged(record: Record, kind: Fault, donor: Record, other: Record, rng: random.Random) -> tuple[Record, Fault]:
    """The damaged record; its `given` row goes, which is sound, and its options too where the response is none of them."""
    words = record.response.split()
    if kind == "wrong_option" and len(record.choices) > 1 and record.answer is not None:
        wrong = rng.choice([n for n in range(len(record.choices)) if n != record.answer])
        return replace(record.with_response(record.choices[wrong]), answer=wrong, given=""), kind
    if kind == "truncated" and len(words) > 1:
        return replace(record.with_response(" ".join(words[: len(words) // 2])), choices=(), answer=None, given=""), kind
    if kind == "duplicate":
        copied = replace(other.messages[-1], content=other.messages[-1].content + " ")
        choices = tuple(choice + " " * (n == other.answer) for n, choice in enumerate(other.choices))
        messages = (*other.messages[:-1], copied)
        return replace(other, messages=messages, choices=choices, origin=record.origin, given=""), kind
    swapped = replace(donor.messages[-1], weight=record.messages[-1].weight)
    return replace(record, messages=(*record.messages[:-1], swapped), choices=(), answer=None, given=""), "swapped"
