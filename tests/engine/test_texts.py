"""A question whose options share a prompt is read once, and each option as if it stood there by itself."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_regime import regime

from shed.data.records import Message, Record, single_turn
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.texts import attention_of, text_of, texts_of
from shed.engine.utility import dev_set
from shed.models.encoding import Encoder
from shed.models.loading import load_model, load_tokenizer

CPU = torch.device("cpu")
REGIME = regime(optimizer="adamw", lr=0.02, epochs=1)
QUESTIONS = [
    single_turn("how many", "two", "s", "a 1", ["two", "twenty one", "t"], 0),
    single_turn("a longer question, whose options are of all lengths", "yes", "s", "a 2", ["no, never", "yes"], 1),
    single_turn("one", "1", "s", "a 3", ["1", "2", "3", "eleven"], 0),
]


def encoder(tiny_model: str, most: int = 200) -> Encoder:
    return Encoder(load_tokenizer(tiny_model), "plain", most, 256)


def test_a_shared_prompt_is_read_once_and_last_tokens_never(tiny_model: str) -> None:
    options = encoder(tiny_model).encode_options(QUESTIONS[0])
    (text,) = texts_of(options, CPU)
    prompt = options[0].prompt_length
    assert len(text.tokens) == prompt + sum(len(option.tokens) - prompt - 1 for option in options)
    assert text.counts == tuple(option.response_length for option in options)
    assert text.targets.tolist() == [option.tokens[place] for option in options for place in option.places]
    (alone,) = texts_of(options[1:2], CPU)
    assert alone.branch is None
    assert tuple(alone.tokens.tolist()) == options[1].tokens[:-1]


def test_no_option_sees_another_and_all_see_the_prompt(tiny_model: str) -> None:
    (text,) = texts_of(encoder(tiny_model).encode_options(QUESTIONS[1]), CPU)
    mask = attention_of([text], torch.float32).mask
    assert mask is not None
    assert text.branch is not None
    assert text.places is not None
    sees = mask[0, 0] == 0
    for number in (1, 2):
        own = (text.branch == number).nonzero()[:, 0]
        assert sees[own][:, text.branch == 0].all()
        assert not sees[own][:, (text.branch != 0) & (text.branch != number)].any()
        prompt = int((text.branch == 0).sum())
        assert text.places[own].tolist() == list(range(prompt, prompt + len(own)))


@pytest.mark.parametrize("most", [200, 30])
@pytest.mark.parametrize("depth", [None, 1])
def test_utilities_and_gradients_are_those_of_options_read_one_by_one(tiny_model: str, most: int, depth: int | None) -> None:
    """At 30 tokens prompts are cut, each as its option needs."""
    own = encoder(tiny_model, most)
    dev = dev_set("choice_loss", QUESTIONS, own)
    regime = dataclasses.replace(REGIME, lora=dataclasses.replace(REGIME.lora, depth=depth))
    members = [own.encode(question, end=True) for question in QUESTIONS]
    one = CoalitionTrainer(load_model(tiny_model), members, dev, regime)
    at = one.initial + 0.05 * torch.randn(one.initial.shape, generator=torch.Generator().manual_seed(1))
    expected = []
    for question, options in zip(QUESTIONS, dev.records, strict=True):
        nats = torch.cat([one.losses.losses_at(at[None], [option])[0] for option in options])
        scores = -nats / torch.tensor([float(len(choice)) for choice in question.choices])
        expected.append(float(torch.log_softmax(scores, 0)[question.answer or 0]) / len(QUESTIONS))
    found = one.losses.dev_terms(at, range(len(QUESTIONS)))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    assert np.ptp(expected) > 1e-3


def test_a_conversation_has_one_text_with_all_that_counts(tiny_model: str) -> None:
    turns = (Message("user", "a"), Message("assistant", "b", 0.5), Message("user", "c"), Message("assistant", "d"))
    one = encoder(tiny_model).encode(Record(turns, "s", "o"), end=True)
    text = text_of(one, CPU)
    assert text.counts == (one.response_length,)
    assert text.predictors.tolist() == [place - 1 for place in one.places]
    assert text.weights.tolist() == one.weights
