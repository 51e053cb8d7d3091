"""Ratings: what a further step on a record does to dev utility, after a warm start."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_regime import REGIME
from torch import Tensor

from shed.common.atomic_io import write_jsonl
from shed.common.errors import ShedError
from shed.data.records import Record, RecordFile, single_turn
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.regime import Regime
from shed.engine.utility import UtilityKind, dev_set
from shed.models.encoding import Encoded
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec
from shed.valuation import ratings
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.rating import rater
from shed.valuation.rating.rater import losses
from shed.valuation.ratings import Ratings, rate


def rated(
    model: str,
    pool: Sequence[Record],
    dev: list[Record],
    utility: UtilityKind | None = None,
    regime: Regime = REGIME,
    warm_rows: int = 6,
    kept: RatedBlocks | None = None,
) -> Ratings:
    return rate(pool, dev, ModelSpec(model, "plain", 200), utility, regime, warm_rows, kept)


@pytest.mark.parametrize("utility", ["dev_loss", "choice_loss"])
def test_a_rating_is_what_a_small_step_on_the_record_does_to_dev_utility(
    tiny_model: str, records: list[Record], utility: UtilityKind
) -> None:
    pool, dev = records[:8], records[8:]
    found = rated(tiny_model, pool, dev, utility).ratings
    loaded = load_language_model(ModelSpec(tiny_model, "plain", 200))
    encoded = loaded.encoder.encode_all(pool, end=True)
    warm = np.random.default_rng(REGIME.seed).permutation(8)[:6]
    trainer = CoalitionTrainer(
        loaded.model,
        [encoded[i] for i in warm],
        dev_set(utility, dev, loaded.encoder),
        dataclasses.replace(REGIME, optimizer="adamw"),
        encoded,
    )
    at, small = trainer.adamw_tuning.weights, 1e-4
    effects = []
    for i in range(8):
        lora = at.clone().requires_grad_()
        loss = trainer.losses.member_losses(lora, np.array([6 + i]), np.array([0])).sum()
        step = small * torch.autograd.grad(loss, lora)[0] / trainer.adamw_tuning.roots
        effects.append(float((trainer.measure(at - step) - trainer.measure(at + step))[0]) / (2 * small))
    tokens = np.mean([trainer.losses.response_tokens(batch) for batch in trainer.batches])
    np.testing.assert_allclose(found, np.array(effects) * REGIME.lr / tokens, rtol=0.1, atol=0.02 * np.abs(found).max())


def test_wrong_answers_are_rated_below_right_ones(tiny_model: str, records: list[Record]) -> None:
    wrong = [single_turn(record.prompt, "no", "counting", f"wrong {i}") for i, record in enumerate(records[6:])]
    found = rated(tiny_model, [*records[:6], *wrong], records)
    assert found.metrics["utility"] == "choice_loss"
    assert found.ratings[:6].min() > found.ratings[6:].max()


def test_a_dev_set_with_a_free_answer_is_rated_by_its_loss(tiny_model: str, records: list[Record]) -> None:
    free = single_turn("say it", "now", "talk", "file 7")
    found = rated(tiny_model, records[:8], [*records[8:], free])
    assert found.metrics["utility"] == "dev_loss"
    assert found.metrics["rated"] == 8
    assert float(found.metrics["token_passes"]) > 0
    with pytest.raises(ShedError, match=r"utility is choice_loss, but 1 of 5 dev records have no choices"):
        rated(tiny_model, records[:8], [*records[8:], free], "choice_loss")


def test_the_same_seed_gives_the_same_ratings(tiny_model: str, records: list[Record]) -> None:
    one, again = (rated(tiny_model, records[:8], records[8:]).ratings for _ in range(2))
    np.testing.assert_array_equal(one, again)


def test_ratings_that_were_stopped_go_on_at_the_block_where_they_were(
    tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratings, "BLOCK", 3)
    write_jsonl(tmp_path / "pool.jsonl", [record.to_row() for record in records[:8]])
    pool, kept = RecordFile(tmp_path / "pool.jsonl"), RatedBlocks(tmp_path / "kept", {"model": "tiny"})
    whole = rated(tiny_model, pool, records[8:])
    made: list[int] = []

    def counting(most: int) -> Callable[..., np.ndarray]:
        def read(trainer: CoalitionTrainer, points: Tensor, encoded: list[Encoded], bar: Iterator[object]) -> np.ndarray:
            if len(made) == most:
                raise KeyboardInterrupt
            made.append(len(encoded))
            return losses(trainer, points, encoded, bar)

        return read

    monkeypatch.setattr(rater, "losses", counting(2))
    with pytest.raises(KeyboardInterrupt):
        rated(tiny_model, pool, records[8:], kept=kept)
    assert made == [3, 3]
    monkeypatch.setattr(CoalitionTrainer, "adamw_tuning", property(lambda own: pytest.fail("the warm start was made again")))
    monkeypatch.setattr(rater, "losses", counting(99))
    again = rated(tiny_model, pool, records[8:], kept=kept)
    assert made == [3, 3, 2]
    np.testing.assert_array_equal(again.ratings, whole.ratings)
    assert again.ids == [record.id for record in records[:8]]
    assert {**again.metrics, "seconds": 0} == {**whole.metrics, "seconds": 0}
    assert list((tmp_path / "kept").iterdir()) == []  # what is finished needs no second copy


@pytest.mark.parametrize("change", ["model", "regime", "dev", "warm"])
def test_blocks_of_other_ratings_are_not_taken(
    tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(ratings, "BLOCK", 4)
    monkeypatch.setattr(RatedBlocks, "forget", lambda own: None)  # as if it had been stopped at the very end
    rated(tiny_model, records[:8], records[8:], kept=RatedBlocks(tmp_path, {"model": "tiny"}))
    calls: list[int] = []
    monkeypatch.setattr(rater, "losses", lambda *own: (calls.append(1), losses(*own))[1])
    rated(tiny_model, records[:8], records[8:], kept=RatedBlocks(tmp_path, {"model": "tiny"}))
    assert not calls
    rated(
        tiny_model,
        records[:8],
        records[8:] if change != "dev" else records[9:],
        regime=REGIME if change != "regime" else dataclasses.replace(REGIME, lr=0.02),
        warm_rows=6 if change != "warm" else 7,
        kept=RatedBlocks(tmp_path, {"model": "tiny" if change != "model" else "other"}),
    )
    assert len(calls) == 2


def test_a_pool_in_blocks_has_the_ratings_of_one_in_memory(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rated(tiny_model, records[:8], records[8:])
    monkeypatch.setattr(ratings, "BLOCK", 3)
    np.testing.assert_allclose(rated(tiny_model, records[:8], records[8:]).ratings, whole.ratings, rtol=1e-3)


def test_a_warm_start_of_nothing_or_of_one_step_is_refused(tiny_model: str, records: list[Record]) -> None:
    with pytest.raises(ShedError, match="without rows for the warm start nothing can be rated; set their number") as error:
        rated(tiny_model, records[:8], records[8:], warm_rows=0)
    assert error.value.setting == "warm rows"
    with pytest.raises(ShedError, match="a single step; raise the number of its rows or the epochs") as error:
        rated(tiny_model, records[:8], records[8:], regime=dataclasses.replace(REGIME, epochs=1), warm_rows=3)
    assert error.value.setting == "warm rows"


def test_a_warm_start_that_diverges_is_one_line(tiny_model: str, records: list[Record]) -> None:
    with pytest.raises(
        ShedError,
        match="the warm start of the ratings diverged: the loss on dev is not finite or has no gradient; lower the learning rate",
    ) as error:
        rated(tiny_model, records[:8], records[8:], regime=dataclasses.replace(REGIME, lr=1e30))
    assert error.value.setting == "learning rate"
