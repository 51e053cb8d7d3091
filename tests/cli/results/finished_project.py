"""A small project in which all stages have run: twenty-four records, of which some were selected as the stage `sample` does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from shed.common.atomic_io import write_array, write_json, write_jsonl, write_table
from shed.data.records import Record, single_turn
from shed.params import Params, load_params
from shed.selection.candidates import LeastFit, candidates, counts_left_out, left_out, totals
from shed.selection.cluster_scores import ranked
from shed.selection.orders.floors import Floor
from shed.selection.sampling import select
from stages.shared.selecting import sample_size

ROOT = Path(__file__).parents[3]
SIZE = 24
MARKUP = "Is [bold red]this[/] a \x1b[31mtrap\u202e?"
POOL = [
    single_turn(
        MARKUP if n == 5 else f"What is {n} and {n}?\nSay it in words.",
        f"It is {2 * n}.",
        "sums" if n % 3 else "talk",
        f"data/my_pool.json, entry {n + 1}",
    )
    for n in range(SIZE)
]
POOL[11] = replace(POOL[11], given='{"id": "train-17", "q": "What is 11 and 11?"}')
DEV = [single_turn("Which is the largest sea?", "The Pacific.", "sea", "data/my_dev.jsonl, line 1")]
UNREAD = {
    "reason": "not valid JSON",
    "split": "pool",
    "origin": "data/my_pool.json, entry 31",
    "source": "sums",
    "text": "{broken",
}


def interval(gain: float) -> dict[str, float]:
    return {"gain": gain, "low": gain - 0.1, "high": gain + 0.1}


def set_params(root: Path, changes: dict[str, Any]) -> Params:
    """This project's own params, with other values by dotted name."""
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, value in ({"sample.fraction": None, "sample.rows": 6} | changes).items():
        section = params
        *path, last = name.split(".")
        for part in path:
            section = section[part]
        section[last] = value
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    return load_params(root / "params.yaml")


def rejects() -> list[dict[str, Any]]:
    copy, spare = POOL[3], single_turn("What was left over?", "This one.", "sums", "data/my_pool.json, entry 26")
    known = single_turn("Which is the largest sea?", "None.", "sums", "data/my_pool.json, entry 27")

    def aside(record: Record, reason: str, origin: str, **more: Any) -> dict[str, Any]:
        row = record.to_row() | {"origin": origin}
        return {"reason": reason, "split": "pool", "origin": origin, "source": record.source, **more, **row}

    like = single_turn("What is 4 and four?", "It is 8.", "sums", "data/my_pool.json, entry 28")
    return [
        aside(copy, "exact_duplicate", "data/my_pool.json, entry 25"),
        aside(spare, "not_drawn", spare.origin),
        aside(known, "in_dev", known.origin),
        aside(like, "near_duplicate", like.origin, of=POOL[4].id, similarity=0.8125),
        UNREAD,
    ]


def tables() -> dict[str, pd.DataFrame]:
    """Clusters, lengths, ratings and scores; ratings repeat, and response tokens differ."""
    ids = [record.id for record in POOL]
    labels = np.array([n % 4 for n in range(SIZE)])
    distance = np.linspace(0.9, 0.2, SIZE).astype(np.float32)
    proxy = [bool(distance[n] == distance[labels == labels[n]].min()) for n in range(SIZE)]
    clusters = pd.DataFrame(
        {"id": ids, "source": [record.source for record in POOL], "cluster": labels, "distance": distance, "proxy": proxy}
    )
    tokens = [3 + (5 * n) % 7 for n in range(SIZE)]
    lengths = pd.DataFrame(
        {
            "id": ids,
            "tokens": [30 + n for n in range(SIZE)],
            "response_tokens": tokens,
            "too_long": [n == 7 for n in range(SIZE)],
        }
    )
    ratings = pd.DataFrame({"id": ids, "rating": [((11 * n) % 13 - 4) / 100 for n in range(SIZE)]})
    scores = ranked(
        pd.DataFrame({"cluster": range(4), "score": [0.1, 0.4, -0.2, 0.3], "stderr": [0.01, 0.02, 0.03, 0.04], "size": 6})
    )
    return {"clusters": clusters, "lengths": lengths, "ratings": ratings, "scores": scores}


def floor_of(params: Params) -> Floor | None:
    return None if params.sample.balance == "none" else Floor(params.sample.balance, params.sample.floor)


def make_project(root: Path, changes: dict[str, Any] | None = None) -> Params:
    """Write the folder; its selection is the one of these params."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    params = set_params(root, changes or {})
    write_jsonl(root / "data/prepared/pool.jsonl", (record.to_row() for record in POOL))
    write_jsonl(root / "data/prepared/dev.jsonl", (record.to_row() for record in DEV))
    write_jsonl(root / "data/prepared/test.jsonl", [])
    write_jsonl(root / "data/prepared/rejects.jsonl", rejects())
    (root / "data/prepared/faults.csv").write_text("id,fault\n", encoding="utf-8")
    vectors = np.eye(SIZE, 30, dtype=np.float32) + np.eye(SIZE, 30, 1, dtype=np.float32)  # each is like those beside it
    write_array(root / "data/embeddings.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    own = tables()
    for name, table in own.items():
        write_table(root / f"data/{name}.parquet", table)
    least, fit = params.sample.exclude.prompt_fit, None
    if params.quality.prompt_fit:
        fits = pd.DataFrame({"id": own["clusters"]["id"], "prompt_fit": [(5 * n % SIZE) / SIZE for n in range(SIZE)]})
        write_table(root / "data/quality.parquet", fits)
        fit = None if least is None else LeastFit(fits, least)
    table = candidates(own["clusters"], own["lengths"], own["ratings"], params.rate.per, params.sample.too_long, fit)
    size = sample_size(params, table)
    assert params.sampler != "given"
    sample, floor = params.sample, floor_of(params)
    selection = select(table, own["scores"], params.sampler, size, sample.f, sample.seed, floor, sample.within)
    write_table(root / "data/selection.parquet", selection)
    lengths = totals(table.set_index("id").loc[selection["id"]])
    counts = counts_left_out(left_out(own["lengths"], params.sample.too_long, fit))
    write_json(root / "metrics/sample.json", {"rows": len(selection), "lengths": lengths, **counts})
    write_json(root / "metrics/lengths.json", totals(own["lengths"]))
    write_json(root / "metrics/rate.json", {"unit": "nats per question", "utility": "choice_loss"})
    score = {"score_is": "Shapley score", "unit": "nats per response token", "utility": "dev_loss"}
    write_json(root / "metrics/score.json", score)
    gains = {
        "all": {"loss": interval(0.5), "accuracy": interval(0.05)},
        "seas": {"loss": interval(0.5)},
        "hills": {"accuracy": interval(0.05)},
    }
    verdict = {
        "sentence": "On test, the selection is better than random rows of the same number by 0.50 nats a response token.",
        "meaning": "For tasks like those of test, tune on this selection.",
        "better": True,
        "seeds": 3,
        "rows": len(selection),
        "response_tokens": lengths["response_tokens"],
        "random_rows": {"rows": 6.0, "response_tokens": 40.0, "shared": 0.25, "test": gains, "dev": gains},
    }
    write_json(root / "metrics/verdict.json", verdict)
    write_json(root / "metrics/base.json", {"test_loss": 6.0, "test_accuracy": 0.25})
    write_json(root / "metrics/tuned.json", {"test_loss": 4.5, "test_accuracy": 0.375})
    change = {"test_loss": -1.5, "test_loss_stderr": 0.125, "test_accuracy": 0.125, "test_accuracy_stderr": 0.0625}
    write_json(root / "metrics/change.json", change)
    lds = {"lds": 0.875, "lds_low": 0.5, "lds_high": 0.9375}
    write_json(root / "metrics/fidelity.json", {"scoring": {"coalitions": 12, "shapley": lds, "rating": {**lds, "lds": 0.25}}})
    write_json(root / "metrics/data.json", {"pool": {"licences": {}}})
    return params
