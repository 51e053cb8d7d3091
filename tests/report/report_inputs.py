"""What a report shows, made up: small tables and metrics, one record with markup in it."""

from typing import Any

import numpy as np
import pandas as pd

from shed.data.records import Record, single_turn
from shed.report.page import ReportInputs

LENGTHS = {
    "rows": 10,
    "too_long": 0,
    "response_tokens": 1500,
    "response_tokens_mean": 150.0,
    "response_tokens_median": 120.5,
    "response_tokens_max": 480,
}
JUDGED = {
    "judged": 12,
    "wins": 6,
    "losses": 2,
    "ties": 4,
    "orders_agree": 9,
    "win_rate": 0.666667,
    "win_rate_low": 0.45,
    "win_rate_high": 0.87,
}
GAIN = {"gain": 0.04, "low": -0.1, "high": 0.18, "luck": 0.12}
GAINS = {"loss": GAIN, "choice_loss": GAIN, "accuracy": GAIN}
VERDICT: dict[str, Any] = {
    "sentence": "On test, the selection is not shown to be better than random rows of the same number (gain 0.04 [-0.10, 0.18]); "
    "on quiz it is worse by 0.20.",
    "claim": "On test, the selection is not shown to be better than random rows of the same number (gain 0.04 [-0.10, 0.18]).",
    "also": "On quiz it is worse by 0.20.",
    "of_items": 0.75,
    "meaning": "So there is no reason to prefer this selection to random rows of the same number.",
    "better": False,
    "seeds": 3,
    "rows": 10,
    "response_tokens": 1500,
    "random_rows": {
        "rows": 10.0,
        "response_tokens": 1400.5,
        "shared": 0.25,
        "test": {"all": GAINS | {"generation": GAIN}, "quiz": GAINS, "essay": {"loss": GAIN, "generation": GAIN}},
        "dev": {"all": GAINS, "quiz": GAINS},
    },
}
EVIL = "<script>document.title = 'taken over'</script><img src=x onerror=alert(1)>"


def inputs() -> ReportInputs:
    rng = np.random.default_rng(0)
    pool: list[Record] = [single_turn(f"question {i} about whales", f"answer {i}", "ab"[i % 2], str(i)) for i in range(40)]
    pool[0] = single_turn(EVIL, "a </script> b", "a", "0")
    clusters = pd.DataFrame(
        {
            "id": [record.id for record in pool],
            "source": [record.source for record in pool],
            "cluster": np.arange(40) // 10,
            "distance": np.arange(40) % 10 / 10.0,
            "proxy": np.arange(40) % 10 == 0,
        }
    )
    scores = pd.DataFrame(
        {
            "rank": [1, 2, 3, 4],
            "cluster": [2, 0, 3, 1],
            "score": [0.5, 0.1, -0.05, -0.3],
            "stderr": [0.01, 0.01, np.nan, 0.01],
            "size": 10,
        }
    )
    result = {"test_loss": 5.123456, "test_loss_stderr": 0.1, "test_accuracy": 0.31, "test_accuracy_stderr": 0.02}
    task = {"loss": 5.1, "loss_stderr": 0.1, "accuracy": 0.3, "accuracy_stderr": 0.02, "items": 10}
    task |= {"choice_loss": 1.4, "choice_loss_stderr": 0.03}
    free_text = {"loss": 2.1, "loss_stderr": 0.1, "items": 10, "generation": 0.25, "generation_stderr": 0.04, "written": 5}
    tasks = {"test_quiz": task, "test_essay": free_text}
    row = {"lds": 0.912345, "lds_low": 0.5, "lds_high": None}
    regime: dict[str, Any] = {
        "coalitions": 8,
        **dict.fromkeys(("shapley", "rating", "bm25", "cosine", "length", "random"), row),
    }
    card = {
        "in": 50,
        "kept": 40,
        "kept_by_source": {"a": 20, "b": 20},
        "rejected_by_reason": {"empty_response": 10},
        "licences": {"a": "MIT", "b": "CC <0>"},
    }
    metrics: dict[str, dict[str, Any]] = {
        "metrics/base.json": result,
        "metrics/tuned.json": {**result, "test_loss": 4.5},
        "metrics/change.json": result,
        "metrics/tasks.json": {"base": tasks, "tuned": tasks, "change": tasks},
        "metrics/lengths.json": {**LENGTHS, "rows": 40, "response_tokens": 4800},
        "metrics/sample.json": {"rows": 10, "lengths": LENGTHS, "left_out_as_too_long": 3, "left_out_by_prompt_fit": 2},
        "metrics/data.json": {"pool": card, "dev": card, "test": card},
        "metrics/score.json": {
            "method": "metagradient",
            "fte": 5.21,
            "utility": "dev_loss",
            "unit": "nats per response token",
            "ended": "the budget of 6 FTE does not cover the next evaluations (5.21 used)",
            "v_none": -10.0,
            "v_all": -8.4,
            "shapley_sum": 1.6,
            "score_is": "mean rating",
            "ratings_fte": 30.2,
            "v_all_minus_v_none": 1.6,
            "notes": "",
        },
        "metrics/rate.json": {"utility": "choice_loss", "unit": "nats per question", "warm_rows": 9, "harmful": 4, "rated": 40},
        "metrics/fidelity.json": {"scoring": regime, "target": regime},
        "metrics/finetune.json": {"steps": 50, "rows": 10, "response_tokens": 1500, "trainable_parameters": 967680},
        "metrics/judge.json": JUDGED,
        "metrics/verdict.json": VERDICT,
    }
    points = pd.DataFrame({"predicted": rng.random(8), "measured": rng.random(8)})
    return ReportInputs(
        metrics=metrics,
        pool=pool,
        clusters=clusters,
        scores=scores,
        selection=clusters.iloc[20:30][["id", "source", "cluster"]],
        embeddings=rng.standard_normal((40, 8)).astype(np.float32),
        convergence=pd.DataFrame({"fte": [2.0, 4.0], "rank_correlation": [0.9, 1.0]}),
        loss=pd.DataFrame({"step": [1, 2, 3], "loss": [3.0, 2.0, 1.5]}),
        fidelity={"scoring": points, "target": points[:0]},
        params=[("C", "4", "number of clusters")],
    )
