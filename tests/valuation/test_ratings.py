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
from shed.valuation.rating.ways import RatingMethod
from shed.valuation.ratings import Ratings, rate


def rated(
    model: str,
    pool: Sequence[Record],
    dev: list[Record],
    utility: UtilityKind | None = None,
    regime: Regime = REGIME,
    warm_rows: int = 6,
    kept: RatedBlocks | None = None,
    method: RatingMethod = "warm",
) -> Ratings:
    return rate(pool, dev, ModelSpec(model, "plain", 200), utility, regime, warm_rows, kept, method=method)


def small_steps(
    model: str, pool: list[Record], dev: list[Record], utility: UtilityKind, points: Callable[..., list[tuple[Tensor, float]]]
) -> np.ndarray:
    """What real small steps on each of 8 records do to dev utility, summed over points of the warm start with their rates."""
    loaded = load_language_model(ModelSpec(model, "plain", 200))
    encoded = loaded.encoder.encode_all(pool, end=True)
    warm = np.random.default_rng(REGIME.seed).permutation(8)[:6]
    regime = dataclasses.replace(REGIME, optimizer="adamw")
    trainer = CoalitionTrainer(loaded.model, [encoded[i] for i in warm], dev_set(utility, dev, loaded.encoder), regime, encoded)
    path: list[Tensor] = []
    tuned, small, effects = trainer.tune_by_adamw(lambda step, at: path.append(at)), 1e-4, np.zeros(8)
    for at, rate_over_tokens in points(trainer, [*path, tuned.weights]):
        for i in range(8):
            lora = at.clone().requires_grad_()
            loss = trainer.losses.member_losses(lora, np.array([6 + i]), np.array([0])).sum()
            step = small * torch.autograd.grad(loss, lora)[0] / tuned.roots
            slope = float((trainer.measure(at - step) - trainer.measure(at + step))[0]) / (2 * small)
            effects[i] += slope * rate_over_tokens
    return effects


def the_end(trainer: CoalitionTrainer, path: list[Tensor]) -> list[tuple[Tensor, float]]:
    return [(path[-1], REGIME.lr / float(np.mean([trainer.losses.response_tokens(batch) for batch in trainer.batches])))]


def ends_of_epochs(trainer: CoalitionTrainer, path: list[Tensor]) -> list[tuple[Tensor, float]]:
    ((_, lr_over_tokens),) = the_end(trainer, path)
    length = len(trainer.batches) // REGIME.epochs
    lr = [
        np.mean([REGIME.lr_at(step + 1, len(trainer.batches)) for step in range(at - length, at)])
        for at in (length, 2 * length)
    ]
    return [(path[at], float(own) / REGIME.lr * lr_over_tokens) for at, own in zip((length, 2 * length), lr, strict=True)]


def all_steps(trainer: CoalitionTrainer, path: list[Tensor]) -> list[tuple[Tensor, float]]:
    steps = len(trainer.batches)
    return [
        (path[step], len(batch) / 6 * REGIME.lr_at(step + 1, steps) / trainer.losses.response_tokens(batch))
        for step, batch in enumerate(trainer.batches)
    ]


@pytest.mark.parametrize("utility", ["dev_loss", "choice_loss"])
@pytest.mark.parametrize("method", ["warm", "checkpoints"])
def test_a_rating_is_what_small_steps_on_the_record_do_to_dev_utility(
    tiny_model: str, records: list[Record], utility: UtilityKind, method: RatingMethod
) -> None:
    pool, dev = records[:8], records[8:]
    found = rated(tiny_model, pool, dev, utility, method=method).ratings
    points = {"warm": the_end, "checkpoints": ends_of_epochs}[method]
    effects = small_steps(tiny_model, pool, dev, utility, points)
    np.testing.assert_allclose(found, effects, rtol=0.1, atol=0.02 * np.abs(found).max())


def test_ratings_along_the_run_are_about_what_a_small_step_at_each_of_its_steps_does(
    tiny_model: str, records: list[Record]
) -> None:
    pool, dev = records[:8], records[8:]
    found = rated(tiny_model, pool, dev, "dev_loss", method="in_run")
    effects = small_steps(tiny_model, pool, dev, "dev_loss", all_steps)
    assert np.corrcoef(found.ratings, effects)[0, 1] > 0.95
    assert 0.8 < np.abs(found.ratings).sum() / np.abs(effects).sum() < 1.25


def test_what_a_method_costs_is_counted(tiny_model: str, records: list[Record]) -> None:
    pool, dev = records[:8], records[8:]
    found = {own: rated(tiny_model, pool, dev, "dev_loss", method=own).metrics for own in ("warm", "checkpoints", "in_run")}
    assert [found[own]["method"] for own in found] == list(found)
    ends = [own["v_warm"] for own in found.values()]
    assert ends == pytest.approx([ends[0]] * 3)  # all of them tune in the same way
    passes = {name: int(own["token_passes"]) for name, own in found.items()}
    assert passes["warm"] < passes["checkpoints"] < 2 * passes["warm"]  # two epochs, one warm start
    assert passes["in_run"] > passes["warm"]


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
