"""What utility means, from the losses of sequences."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_regime import regime

from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.engine.coalition_trainer import load_trainer
from shed.engine.utility import DevSet, UtilityKind, dev_set
from shed.models.encoding import Encoded, Encoder
from shed.models.loading import load_tokenizer
from shed.models.specs import ModelSpec


def questions(kind: UtilityKind) -> DevSet:
    """Two questions of two options, the first of 1 and 2 characters, the second of 1 and 1; the first option is right."""
    option = [Encoded((1,) * (1 + length), 1, 0) for length in (1, 2, 1, 1)]
    return DevSet(kind, (tuple(option[:2]), tuple(option[2:])), (0, 0), ((1, 2), (1, 1)), (0.5, 0.5))


def test_choice_loss_compares_log_probabilities_per_character() -> None:
    nats = torch.tensor([1.0, 2.0, 3.0, 1.0])  # scores -1 and -1, then -3 and -1
    terms = questions("choice_loss").terms(nats, [0, 1])
    expected = [np.log(0.5), -np.log1p(np.exp(2.0))]
    np.testing.assert_allclose(terms, np.array(expected) / 2, rtol=1e-6)
    np.testing.assert_allclose(questions("choice_loss").terms(nats[2:], [1]), expected[1] / 2, rtol=1e-6)


def test_accuracy_is_the_share_of_questions_whose_right_option_scores_highest() -> None:
    assert questions("accuracy").terms(torch.tensor([1.0, 3.0, 3.0, 1.0]), [0, 1]).sum() == 0.5
    assert questions("accuracy").terms(torch.tensor([torch.nan, 3.0, 3.0, 1.0]), [0, 1]).sum().isnan()


def test_dev_loss_weighs_every_response_token_alike(tiny_model: str, records: list[Record]) -> None:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    dev = dev_set("dev_loss", records, encoder)
    assert len(dev.sequences) == len(records)
    nats = torch.tensor([float(sequence.response_length) for sequence in dev.sequences])
    assert float(dev.terms(nats, range(len(records))).sum()) == pytest.approx(-1.0)
    options = dev_set("choice_loss", records, encoder)
    assert len(options.sequences) == 2 * len(records)


def test_what_cannot_be_measured_is_refused(tiny_model: str, records: list[Record]) -> None:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    open_ended = [*records[:2], single_turn("say it", "no", "talk", "file 7")]
    with pytest.raises(ShedError, match=r"utility is accuracy, but 1 of 3 dev records have no choices, the first is .*7"):
        dev_set("accuracy", open_ended, encoder)


def test_the_tasks_of_dev_count_by_their_shares_however_many_records_each_has(tiny_model: str, records: list[Record]) -> None:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    dev = [dataclasses.replace(record, source="rare" if n == 0 else "common") for n, record in enumerate(records[:5])]
    shares = {"rare": 0.75, "common": 0.25}
    losses = dev_set("dev_loss", dev, encoder, shares)
    lengths = [float(sequence.response_length) for sequence in losses.sequences]
    nats = torch.tensor([3.0 * lengths[0], *(2.0 * length for length in lengths[1:])])  # 3 a token, and 2
    assert float(losses.terms(nats, range(5)).sum()) == pytest.approx(-(0.75 * 3 + 0.25 * 2))
    options = dev_set("accuracy", dev, encoder, shares)
    right_first = torch.tensor([[0.1, 9.0] if dev[n].answer == 0 else [9.0, 0.1] for n in range(5)])
    right_first[1] = right_first[1].flip(0)  # one of the four common ones is wrong
    assert float(options.terms(right_first.flatten(), range(5)).sum()) == pytest.approx(0.75 + 0.25 * 3 / 4)
    with pytest.raises(ShedError, match="the dev task absent has none of the 5 dev records that are measured"):
        dev_set("dev_loss", dev, encoder, {**shares, "absent": 0.5})


@pytest.mark.parametrize("kind", ["dev_loss", "choice_loss"])
def test_the_worst_is_the_least_gain_over_the_untuned_model_among_the_tasks_that_count(
    tiny_model: str, records: list[Record], kind: UtilityKind
) -> None:
    """By hand: each task alone is measured as a dev set of its own, after no tuning and after each of three."""
    sources = ("rare", "common", "common", "aside")
    dev = [dataclasses.replace(record, source=source) for record, source in zip(records[8:], sources, strict=True)]
    spec, own = ModelSpec(tiny_model, "plain", 200), regime(lr=0.03)
    weights = np.array([[0.0] * 8, [1, 0, 0] * 2 + [0, 0], [0, 1, 0] * 2 + [0, 0], [1] * 8])
    gains = {}
    for task in ("rare", "common"):
        alone = [record for record in dev if record.source == task]
        values = load_trainer(spec, records[:8], alone, kind, own).utilities(weights)
        gains[task] = values - values[0]
    worst = load_trainer(spec, records[:8], dev, kind, own, tasks={"rare": 1, "common": 1, "aside": 0}, combine="worst")
    found = worst.utilities(weights)
    assert found[0] == 0.0
    np.testing.assert_allclose(found, np.minimum(gains["rare"], gains["common"]), atol=1e-5)
    assert np.abs(gains["rare"] - gains["common"])[1:].min() > 1e-3  # it matters which of them counts
    np.testing.assert_allclose(worst.with_draw(1).utilities(weights[:1]), 0.0, atol=1e-6)  # gains count from the same model
    assert worst.setup_fte > load_trainer(spec, records[:8], dev, kind, own).setup_fte


def test_the_terms_of_each_task_sum_to_its_own_mean(tiny_model: str, records: list[Record]) -> None:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    dev = [dataclasses.replace(record, source="rare" if n == 0 else "common") for n, record in enumerate(records[:5])]
    losses = dev_set("dev_loss", dev, encoder, {"rare": 0.5, "common": 0.5}, "worst")
    lengths = [float(sequence.response_length) for sequence in losses.sequences]
    nats = torch.tensor([3.0 * lengths[0], *(2.0 * length for length in lengths[1:])])  # 3 a token, and 2
    terms = losses.terms(nats, range(5))
    assert losses.by_task == [[0], [1, 2, 3, 4]]
    assert [float(terms[own].sum()) for own in losses.by_task] == pytest.approx([-3.0, -2.0])
    assert dev_set("dev_loss", dev, encoder, {"rare": 0.5, "common": 0.5}).by_task == [[0, 1, 2, 3, 4]]
    with pytest.raises(ShedError, match="rare alone counts"):
        dev_set("dev_loss", dev, encoder, {"rare": 1.0, "common": 0.0}, "worst")
