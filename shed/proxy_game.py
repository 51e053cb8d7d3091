"""The game that clusters play by their proxies, opened on a ledger.

In: the pool's clusters, the dev records, a model and a regime. Out: a game whose players are clusters, and whose every
evaluation is kept.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shed import prompts
from shed.models import load_model, load_tokenizer
from shed.prompts import Encoded, Form, encode_all
from shed.records import Record
from shed.valuation import backward, top, training, utility
from shed.valuation.game import TuningGame
from shed.valuation.ledger import Ledger, LedgeredGame
from shed.valuation.training import CoalitionTrainer, Regime
from shed.valuation.utility import Kind, dev_set


@dataclass(frozen=True)
class Setting:
    """All that the utilities of a game depend on, apart from its records.

    Attributes:
        model: name of the base model.
        manifest: what identifies its weights.
        form, max_tokens: how records become tokens.
        utility: what is measured on dev.
        regime: the training that utilities are measured in.
    """

    model: str
    manifest: dict[str, Any]
    form: Form
    max_tokens: int
    utility: Kind
    regime: Regime


@dataclass(frozen=True)
class ProxyGame:
    """An open game: `play` it; player `owner[i]` is the cluster of proxy `proxies[i]`, whose tokens are `encoded[i]`.

    `bystander_owner[j]` is the cluster of bystander j, in the order of an estimate's bystanders. One FTE has `token_passes`, a
    forward and a backward pass for each tuned token, and a forward pass for each of dev's.
    """

    play: LedgeredGame
    proxies: list[Record]
    encoded: list[Encoded]
    owner: np.ndarray
    bystander_owner: np.ndarray
    utility: Kind
    token_passes: int


@contextmanager
def open_game(
    clusters: pd.DataFrame, pool: Sequence[Record], dev: Sequence[Record], setting: Setting, ledger: Path
) -> Iterator[ProxyGame]:
    """Load the model and play its game, held by this process alone until the block ends.

    Args:
        clusters: a row for each pool record, in the pool's order, with `cluster` and `proxy`, and `bystander` where records
            that play no part shall have marginals all the same.
        pool: the records that proxies are taken from.
        dev: the records that utility is measured on.
        setting: what else utilities depend on.
        ledger: the ledger's file; made if absent.

    Raises:
        ShedError: a record cannot be tuned on or measured, or the model is of another shape.
    """
    proxies = [record for record, chosen in zip(pool, clusters["proxy"], strict=True) if chosen]
    owner = clusters.loc[clusters["proxy"], "cluster"].to_numpy()
    aside = clusters["bystander"] if "bystander" in clusters else pd.Series(False, index=clusters.index)
    bystanders = [record for record, chosen in zip(pool, aside, strict=True) if chosen]
    order = np.argsort([record.id for record in proxies], kind="stable")
    proxies, owner = [proxies[i] for i in order], owner[order]
    tokenizer, model = load_tokenizer(setting.model), load_model(setting.model)
    limit = model.config.max_position_embeddings
    members = encode_all(proxies, tokenizer, setting.form, setting.max_tokens, limit, end=True)
    measured = dev_set(setting.utility, dev, tokenizer, setting.form, setting.max_tokens, limit)
    description = {
        "proxies": [record.id for record in proxies],
        "dev": [record.id for record in dev],
        **({} if setting.utility == "dev_loss" else {"options": [[*record.choices, record.answer] for record in dev]}),
        "dtype": str(model.dtype),
        "code": [code_digest(Path(str(module.__file__))) for module in (prompts, utility, top, training)],
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        **asdict(setting),
    }
    others = encode_all(bystanders, tokenizer, setting.form, setting.max_tokens, limit, end=True)
    trainer = CoalitionTrainer(model, members, measured, setting.regime, others)
    named = [code_digest(Path(str(backward.__file__))), *(record.id for record in bystanders)]
    gradient_code = hashlib.sha256("\n".join(named).encode()).hexdigest()[:16]
    game = TuningGame(trainer, owner, [record.id for record in proxies])
    with Ledger(ledger).play(game, description, gradient_code) as play:
        passes = 2 * setting.regime.epochs * int(trainer.lengths.sum()) + trainer.dev_length
        bystander_owner = clusters.loc[aside, "cluster"].to_numpy()
        yield ProxyGame(play, proxies, members, owner, bystander_owner, setting.utility, passes)


def code_digest(path: Path) -> str:
    """A digest of what a module does: its syntax tree without docstrings, so that a changed comment changes nothing."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
