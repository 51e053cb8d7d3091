"""Scores for clusters: the game that their proxies play, played through the ledger.

In: the pool's clusters, the dev records, a model and a regime. Out: a table with a score for each cluster, and metrics.
"""

import ast
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shed import prompts
from shed.models import load_model, load_tokenizer
from shed.prompts import Form, cut_counts, encode_all
from shed.records import Record
from shed.valuation import training
from shed.valuation.estimate import Estimate
from shed.valuation.game import TuningGame
from shed.valuation.ledger import Ledger, LedgeredGame
from shed.valuation.training import CoalitionTrainer, Regime


@dataclass(frozen=True)
class Scored:
    """What scoring yields.

    Attributes:
        table: a row for each cluster, best first: `rank`, `cluster`, `score`, `stderr`, `size`, `proxies` (their ids).
        convergence: the estimator's, a row for each iteration.
        metrics: cost and totals, flat.
    """

    table: pd.DataFrame
    convergence: pd.DataFrame
    metrics: dict[str, float | int | str | None]


def score_clusters(
    clusters: pd.DataFrame,
    pool: Sequence[Record],
    dev: Sequence[Record],
    estimator: Callable[[LedgeredGame], Estimate],
    *,
    model: str,
    model_manifest: dict[str, Any],
    form: Form,
    max_tokens: int,
    regime: Regime,
    ledger: Path,
) -> Scored:
    """Estimate each cluster's Shapley score from its proxies' effect on dev utility.

    Args:
        clusters: a row for each pool record, in the pool's order, with `cluster` and `proxy`.
        estimator: any callable from a game to an `Estimate`.
        model_manifest: what identifies the weights; a part of the ledger's key.
        ledger: the ledger's file; made if absent.

    Raises:
        ShedError: a record cannot be tuned on, or the model or the estimator's settings do not fit.
    """
    proxies = [record for record, chosen in zip(pool, clusters["proxy"], strict=True) if chosen]
    owner = clusters.loc[clusters["proxy"], "cluster"].to_numpy()
    order = np.argsort([record.id for record in proxies], kind="stable")
    proxies, owner = [proxies[i] for i in order], owner[order]
    tokenizer, language_model = load_tokenizer(model), load_model(model)
    limit = language_model.config.max_position_embeddings
    members = encode_all(proxies, tokenizer, form, max_tokens, limit, end=True)
    measured = encode_all(dev, tokenizer, form, max_tokens, limit, end=False)
    description = {
        "proxies": [record.id for record in proxies],
        "dev": [record.id for record in dev],
        "model": model_manifest,
        "dtype": str(language_model.dtype),
        "form": form,
        "max_tokens": max_tokens,
        "regime": asdict(regime),
        "code": [code_digest(Path(str(module.__file__))) for module in (prompts, training)],
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }
    trainer = CoalitionTrainer(language_model, members, measured, regime)
    with Ledger(ledger).play(TuningGame(trainer, owner, [record.id for record in proxies]), description) as game:
        estimate = estimator(game)
        metrics: dict[str, float | int | str | None] = {
            "utility": "dev_loss",
            "players": game.players,
            "proxies": len(proxies),
            "dev_records": len(dev),
            "evaluations": estimate.evaluations,
            "fte": game.fte,
            "seconds": game.seconds,
            "v_none": estimate.v_none,
            "v_all": estimate.v_all,
            "score_sum": float(estimate.scores.sum()),
            "v_all_minus_v_none": estimate.v_all - estimate.v_none,
            "stderr_mean": None if np.isnan(estimate.stderr).any() else float(estimate.stderr.mean()),
            "score_min": float(estimate.scores.min()),
            "score_max": float(estimate.scores.max()),
            **cut_counts(members, max_tokens),
        }
    return Scored(_table(estimate, clusters, proxies, owner), estimate.convergence, metrics)


def code_digest(path: Path) -> str:
    """A digest of what a module does: its syntax tree without docstrings, so that a changed comment changes nothing."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def _table(estimate: Estimate, clusters: pd.DataFrame, proxies: Sequence[Record], owner: np.ndarray) -> pd.DataFrame:
    players = np.arange(len(estimate.scores))
    table = pd.DataFrame(
        {
            "cluster": players,
            "score": estimate.scores,
            "stderr": estimate.stderr,
            "size": np.bincount(clusters["cluster"], minlength=len(players)),
            "proxies": [[record.id for record, own in zip(proxies, owner, strict=True) if own == c] for c in players],
        }
    )
    table = table.sort_values(["score", "cluster"], ascending=[False, True], ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table
