"""A rule for what does not fit the context: earlier turns go first, then the prompt's text, then the response's end."""

import pytest
from encoded_text import TOOL_USE, encoder, shown

from shed.common.errors import ShedError
from shed.data.records import Message, Record, single_turn
from shed.models.encoding import Encoder, cut_counts
from shed.models.loading import load_tokenizer


def test_whole_earlier_turns_go_first_then_the_users_text_and_never_a_header() -> None:
    own = encoder("smollm2", "chat")
    turns = (
        Message("system", "Be brief."),
        Message("user", "the first " * 30),
        Message("assistant", "one"),
        Message("user", "the second " * 5),
        Message("assistant", "two"),
    )
    record = Record(turns, "s", "o")
    whole = own.encode(record, end=True)
    fits = encoder("smollm2", "chat", len(whole.tokens) - 1).encode(record, end=True)
    assert (fits.turns_cut, fits.cut, fits.response_cut) == (2, 0, 0)
    second = "the second " * 4 + "the second"  # the template does not trim, but the record's text ends with a space
    assert shown(own, fits) == (
        f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{second} <|im_end|>\n<|im_start|>assistant\n[two<|im_end|>]"
    )
    tight = encoder("smollm2", "chat", len(fits.tokens) - 3).encode(record, end=True)
    assert (tight.turns_cut, tight.cut, tight.response_cut, len(tight.tokens)) == (2, 3, 0, len(fits.tokens) - 3)
    assert shown(own, tight).startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")
    assert shown(own, tight).endswith(" <|im_end|>\n<|im_start|>assistant\n[two<|im_end|>]")


def test_a_response_as_long_as_the_context_leaves_a_quarter_of_it_to_the_prompt() -> None:
    own = encoder("smollm2", max_tokens=64)
    one = own.encode(single_turn("why " * 100, "because " * 100, "s", "o"), end=True)
    assert len(one.tokens) == 64
    assert (one.prompt_length, one.response_length) == (16, 48)
    assert shown(own, one).startswith("Question: ")
    assert not shown(own, one).endswith("<|im_end|>]")  # what was cut off is not closed
    assert one.response_cut == len(own.tokenizer.encode(" because" * 100)) + 2 - 48


def test_what_was_cut_is_counted(tiny_model: str) -> None:
    own = Encoder(load_tokenizer(tiny_model), "plain", 32, 256)  # a token a byte
    records = [single_turn("x" * 40, "yes", "s", "o"), single_turn("q", "y" * 50, "s", "o"), single_turn("q", "a", "s", "o")]
    long, wordy, short = encoded = own.encode_all(records, end=False)
    assert own.tokenizer.decode(long.tokens) == "Question: xxxxxxxxxx\nAnswer: yes"
    assert own.tokenizer.decode(wordy.tokens) == "Question: \nAnswer: " + "y" * 13
    assert own.tokenizer.decode(short.tokens) == "Question: q\nAnswer: a"
    assert cut_counts(encoded) == {
        "prompts_cut": 2,
        "prompt_tokens_cut": 31,
        "turns_cut": 0,
        "responses_cut": 1,
        "response_tokens_cut": 37,
    }


def test_the_model_has_fewer_positions_than_the_context(tiny_model: str) -> None:
    own = Encoder(load_tokenizer(tiny_model), "plain", 512, 20)
    assert len(own.encode(single_turn("x" * 100, "answer", "s", "o"), end=False).tokens) == 20


def test_a_record_none_of_whose_response_fits_is_refused() -> None:
    own = encoder("qwen3", "chat", 24)
    assert "nothing of its response fits into 24 tokens" in (own.unfit(TOOL_USE) or "")
    with pytest.raises(ShedError, match=r"record [0-9a-f]{16} \(o\): nothing of its response fits into 24 tokens"):
        own.encode(TOOL_USE, end=True)
