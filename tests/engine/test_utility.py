"""What utility means, from the losses of sequences."""

import dataclasses

import numpy as np
import pytest
import torch

from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.engine.utility import DevSet, UtilityKind, dev_set
from shed.models.encoding import Encoded, Encoder
from shed.models.loading import load_tokenizer


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
