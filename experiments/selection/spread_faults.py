"""What tells records whose responses are wrong, where such records are few in every source?

In: the default pool. Out: spread_faults.json. `dvc --cd experiments/selection repro spread_faults` runs it. Losses of pairs
of prompts and responses are kept in .shed/pairs, so that a run that was stopped goes on.

In 5, 10 or 20 % of the pool responses are swapped, within each source or across all; further pools have truncated responses or
wrong options. Each signal judges every second record, by AUROC: the probability that a sound record has a higher one than a
faulty one. Prompt fit and its settings were chosen on two pools, swapped within sources and across, at 10 % under the first
seed. No other pool had a say in the choice, and results at 10 % are of the other seeds.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from experiments.shared.spread_faults_losses import PairLosses, with_response_of, without_prompt
from experiments.shared.spread_faults_signals import Losses, by_embeddings, by_losses, together
from shed.common.atomic_io import read_json, write_json
from shed.common.import_closure import code_digest
from shed.data.faults import damage
from shed.data.records import Record, read_records
from shed.embedding.embedder import embed, text_of
from shed.models.specs import EmbeddedPart, EmbedderSpec
from shed.params import Params, load_params
from shed.selection.quality.prompt_fit import prompt_fit
from stages.shared.settings.embedder import embedder_spec
from stages.shared.settings.model import model_spec

RESULT = "experiments/selection/spread_faults.json"
WITHIN, ACROSS, TRUNCATED, WRONG = "swapped within sources", "swapped", "truncated", "wrong option"
SHARES, SEEDS = (0.05, 0.1, 0.2), (1, 2, 3)
POOLS = [(kind, share, seed) for kind in (WITHIN, ACROSS) for share in SHARES for seed in SEEDS]
POOLS += [(kind, 0.1, seed) for kind in (TRUNCATED, WRONG) for seed in SEEDS]
CHOSEN_AT, CHOSEN_UNDER = 0.1, 1  # share and seed of the pools that the choice may look at
EVERY = 2  # of so many records one is judged, to save time
DEALT = 2  # other prompts after which each response is read
TIMED = 40  # records that are read again for the time that it takes
THRESHOLDS = (0.25, 0.5, 0.75, 0.9)

KINDS = (WITHIN, ACROSS, TRUNCATED, WRONG)
Of = tuple[str, float, int]  # kind of fault, share, seed
Pool = tuple[list[Record], np.ndarray]  # records, and which of them are faulty


def main() -> None:
    params = load_params()
    sound, seed = list(read_records("data/prepared/pool.jsonl")), params.data.seed
    pools = {of: damaged(sound, *of) for of in POOLS}
    sources, judged = [record.source for record in sound], range(0, len(sound), EVERY)
    before = process_time()
    prompts, responses = (embedded(sound, part, embedder_spec(params)) for part in ("prompt", "response"))
    seconds = {"embeddings": process_time() - before}
    given = embedded([record for pool, _ in pools.values() for record in pool], "response", embedder_spec(params))
    signals = {
        of: by_embeddings(prompts, own, sources, seed) for of, own in zip(pools, np.split(given, len(pools)), strict=True)
    }
    result = {
        "records": len(sound),
        "judged": len(judged),
        "prompt_fit": of_prompt_fit(
            {of: (signals[of]["prompt fit"], faulty) for of, (_, faulty) in pools.items()}, np.array(sources)
        ),
        "prompt_fit_of_the_sound_pool": shares_below(prompt_fit(prompts, responses, sources, seed)),
    }
    found = {of: {name: signal[judged] for name, signal in own.items()} for of, own in signals.items()}
    faulty = {of: bad[judged] for of, (_, bad) in pools.items()}
    write_json(RESULT, result | {"seconds": seconds} | compared(found, faulty))
    others, losses = dealt(sources, judged, seed), PairLosses(model_spec(params), kept(params))
    losses.read(pairs(sound, [pool for pool, _ in pools.values()], others))
    for of, (pool, _) in pools.items():
        found[of] |= by_losses(losses_of(sound, pool, others, losses))
        found[of]["prompt fit and both contrasts"] = together(found[of]["prompt fit"], found[of]["both contrasts"])
    seconds |= seconds_of(sound, others, losses)
    write_json(RESULT, result | {"seconds": seconds} | compared(found, faulty))
    print(Path(RESULT).read_text(encoding="utf-8"))


def kept(params: Params) -> Path:
    """Where losses are kept that this model gave, reading records as it does now."""
    own = [read_json("data/model.json"), params.model.model_dump(mode="json"), code_digest(PairLosses.__module__)]
    return Path(f".shed/pairs/{hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]}.parquet")


def damaged(sound: Sequence[Record], kind: str, share: float, seed: int) -> Pool:
    """The pool with a share of its responses at fault; wrong options are those of sources with options."""
    if kind == WITHIN:
        pool: Sequence[Record] = sound
        faults: set[str] = set()
        for source in sorted({record.source for record in sound}):
            pool, own = damage(pool, share, ["swapped"], [source], seed)
            faults |= set(own)
    elif kind == WRONG:
        pool, own = damage(sound, share, ["wrong_option"], sorted({one.source for one in sound if one.choices}), seed)
        faults = set(own)
    else:
        pool, own = damage(sound, share, ["truncated" if kind == TRUNCATED else "swapped"], None, seed)
        faults = set(own)
    return list(pool), np.array([record.id in faults for record in pool])


def embedded(records: Sequence[Record], part: EmbeddedPart, embedder: EmbedderSpec) -> np.ndarray:
    """(N, D) float32 unit rows of a part of each record; equal texts are embedded once."""
    firsts: dict[str, int] = {}
    places = [firsts.setdefault(text_of(record, part), len(firsts)) for record in records]
    unlike = dict(zip(places, records, strict=True))
    vectors = embed([unlike[place] for place in range(len(unlike))], replace(embedder, of=part)).vectors
    found: np.ndarray = vectors[places]
    return found


def dealt(sources: Sequence[str], judged: Sequence[int], seed: int) -> dict[int, list[int]]:
    """For each judged record, whose responses are read after its prompt: each response of its source twice, at random.

    Args:
        judged: places of records that are judged.
    """
    rng, of = np.random.default_rng(seed), np.asarray(sources)
    others: dict[int, list[int]] = {place: [] for place in judged}
    for source in sorted(set(sources)):
        own = np.flatnonzero(of == source)
        asked_of = own[np.isin(own, judged)]
        for _ in range(DEALT):
            given, asked = rng.permutation(own), np.resize(rng.permutation(asked_of), len(own))
            while len(clash := np.flatnonzero(given == asked)):
                for place in clash:
                    other = rng.integers(len(own))
                    given[place], given[other] = given[other], given[place]
            for prompt, response in zip(asked.tolist(), given.tolist(), strict=True):
                others[prompt].append(response)
    return others


def pairs(
    sound: Sequence[Record], pools: Sequence[Sequence[Record]], others: Mapping[int, Sequence[int]]
) -> list[list[Record]]:
    """What the model reads: for each judged prompt its own responses and others', then each response alone."""
    groups = [
        [*{pool[place].id: pool[place] for pool in (sound, *pools)}.values(), *repaired(sound, place, given)]
        for place, given in others.items()
    ]
    responses = {record.response: record for pool in (sound, *pools) for record in pool}
    return groups + [[without_prompt(record)] for record in responses.values()]


def repaired(sound: Sequence[Record], place: int, given: Sequence[int]) -> list[Record]:
    """One prompt with the responses of other records."""
    return [with_response_of(sound[place], sound[other]) for other in given]


def losses_of(
    sound: Sequence[Record], pool: Sequence[Record], others: Mapping[int, Sequence[int]], losses: PairLosses
) -> Losses:
    """What the model makes of a pool's judged records, once `pairs` have been read.

    A response that no record of the sound pool has was not read after other prompts: NaN.
    """
    owners = {record.response: place for place, record in enumerate(sound)}
    asked = defaultdict[int, list[int]](list)  # after which prompts each response was read
    for place, given in others.items():
        for other in given:
            asked[owners[sound[other].response]].append(place)
    judged = [pool[place] for place in others]
    own, end = losses.of(judged).T
    alone = losses.of(without_prompt(record) for record in judged)[:, 0]
    elsewhere, gains = np.full(len(judged), np.nan), np.empty(len(judged))
    for n, (place, given) in enumerate(others.items()):
        after = losses.of(repaired(sound, place, given))[:, 0]
        gains[n] = np.mean(losses.of(without_prompt(sound[other]) for other in given)[:, 0] - after)
        if judged[n].response in owners:
            response = owners[judged[n].response]
            elsewhere[n] = losses.of(with_response_of(sound[at], sound[response]) for at in asked[response])[:, 0].mean()
    return Losses(own, end, alone, elsewhere, gains)


def seconds_of(sound: Sequence[Record], others: Mapping[int, Sequence[int]], losses: PairLosses) -> dict[str, float]:
    """The processor's seconds of losses for a pool, from some records whose losses are read again.

    Responses after their own prompts; those and responses alone; and all that contrasts need. The model is loaded by then.
    """
    timed = [*others][:: max(1, len(others) // TIMED)]
    own = [[sound[place]] for place in timed]
    alone = [[without_prompt(sound[place])] for place in timed]
    whole = [[sound[place], *repaired(sound, place, others[place])] for place in timed]
    times = {"own": own, "own and alone": own + alone, "own, alone and elsewhere": whole + alone}
    return {name: losses.seconds(groups) * len(sound) / len(timed) for name, groups in times.items()}


def auroc(signal: np.ndarray, faulty: np.ndarray) -> float:
    """The probability that a sound record has a higher signal than a faulty one."""
    return float(roc_auc_score(~faulty, signal))


def compared(signals: Mapping[Of, Mapping[str, np.ndarray]], faulty: Mapping[Of, np.ndarray]) -> dict[str, Any]:
    """AUROC of each signal on the pool of the choice; and on the others, by kind, share and signal, the mean over seeds.

    A signal that some record does not have is left out.
    """
    aurocs = {
        of: {name: auroc(signal, faulty[of]) for name, signal in own.items() if np.isfinite(signal).all()}
        for of, own in signals.items()
    }
    by_kind: dict[str, dict[str, dict[str, dict[str, float]]]] = {kind: {} for kind in KINDS}
    for kind, share in dict.fromkeys((kind, share) for kind, share, _ in aurocs):
        reported = [aurocs[kind, share, seed] for seed in SEEDS if (share, seed) != (CHOSEN_AT, CHOSEN_UNDER)]
        by_kind[kind][f"{share:.0%}"] = {
            name: {"mean": float(np.mean(own)), "low": min(own), "high": max(own)}
            for name in reported[0]
            for own in [[one[name] for one in reported]]
        }
    chosen = {kind: aurocs[kind, CHOSEN_AT, CHOSEN_UNDER] for kind in (WITHIN, ACROSS)}
    return {"auroc_where_it_was_chosen": chosen, "auroc": by_kind}


def of_prompt_fit(fits: Mapping[Of, tuple[np.ndarray, np.ndarray]], sources: np.ndarray) -> dict[str, Any]:
    """Of all records at the share of the choice, without its seed: AUROC in each source, and who is below some thresholds.

    Args:
        fits: for each pool the fit of each record (N,), and which are faulty (N,).
    """
    found: dict[str, Any] = {}
    for kind in KINDS:
        own = [fits[kind, CHOSEN_AT, seed] for seed in SEEDS if seed != CHOSEN_UNDER]
        inside = {source: sources == source for source in sorted(set(sources))}
        found[kind] = {
            "auroc": float(np.mean([auroc(*one) for one in own])),
            "auroc_by_source": {
                source: float(np.mean([auroc(fit[there], bad[there]) for fit, bad in own]))
                for source, there in inside.items()
                if all(bad[there].any() for _, bad in own)
            },
            "faulty_below": shares_below(np.concatenate([fit[bad] for fit, bad in own])),
            "sound_below": shares_below(np.concatenate([fit[~bad] for fit, bad in own])),
        }
    return found


def shares_below(fits: np.ndarray) -> dict[str, float]:
    """The share of these fits below each threshold."""
    return {str(threshold): float((fits < threshold).mean()) for threshold in THRESHOLDS}


if __name__ == "__main__":
    main()
