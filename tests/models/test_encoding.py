"""A record's text and tokens: the response is never cut, the prompt at its start."""

import pytest

from shed.common.errors import ShedError
from shed.models.loading import load_tokenizer
from shed.models.encoding import cut_counts, encode, encode_all, render_prompt
from shed.data.records import Record, single_turn

TURNS = (("system", "Be brief."), ("user", "2+2?"), ("assistant", "4"), ("user", "3+3?"), ("assistant", "6"))


def test_the_plain_and_the_chat_form(tiny_model: str) -> None:
    tokenizer = load_tokenizer(tiny_model)
    record = Record(TURNS, "s", "o")
    assert render_prompt(record, "plain", tokenizer) == "Be brief.\nQuestion: 2+2?\nAnswer: 4\nQuestion: 3+3?\nAnswer:"
    assert render_prompt(record, "chat", tokenizer).endswith("<user>3+3?<end><assistant>")


@pytest.mark.parametrize(("form", "response"), [("plain", " 6<end>"), ("chat", "6<end>")])
def test_the_response_begins_where_the_prompt_ends(tiny_model: str, form: str, response: str) -> None:
    tokenizer = load_tokenizer(tiny_model)
    one = encode(Record(TURNS, "s", "o"), tokenizer, form, 500, end=True)  # type: ignore[arg-type]
    assert tokenizer.decode(one.tokens[one.prompt_length :]) == response
    assert one.cut == 0


def test_a_sequence_begins_with_the_token_that_the_tokenizer_begins_with(tiny_model: str) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = load_tokenizer(tiny_model)
    record = single_turn("x" * 100, "answer", "s", "o")
    without = encode(record, tokenizer, "plain", 20, end=False)
    beginning = tokenizer.convert_ids_to_tokens(0)
    tokenizer.bos_token = beginning
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{beginning} $A", special_tokens=[(beginning, 0)])
    plain = encode(record, tokenizer, "plain", 20, end=False)
    assert plain.tokens == (0, *without.tokens[1:])  # the token stays when the prompt is cut
    assert (plain.prompt_length, plain.cut) == (without.prompt_length, without.cut + 1)
    assert encode(record, tokenizer, "chat", 500, end=False).tokens[0] != 0  # the template writes what it begins with


def test_a_long_prompt_loses_its_start_and_the_response_nothing(tiny_model: str) -> None:
    tokenizer = load_tokenizer(tiny_model)
    long = encode(single_turn("x" * 100, "answer", "s", "o"), tokenizer, "plain", 20, end=False)
    assert len(long.tokens) == 20
    assert tokenizer.decode(long.tokens) == "xxxxx\nAnswer: answer"
    assert long.cut == len("Question: " + "x" * 100 + "\nAnswer:") - 13


def test_a_response_longer_than_the_context_is_kept_whole_and_counted(tiny_model: str) -> None:
    tokenizer = load_tokenizer(tiny_model)
    encoded = encode_all(
        [single_turn("q", "y" * 50, "s", "o"), single_turn("q", "y", "s", "o")], tokenizer, "plain", 16, 256, end=False
    )
    assert (encoded[0].prompt_length, encoded[0].response_length) == (1, 51)
    assert cut_counts(encoded, 16) == {"prompts_cut": 2, "prompt_tokens_cut": 23, "longer_than_context": 1}


def test_a_response_longer_than_the_model_and_a_missing_template_are_refused(tiny_model: str) -> None:
    tokenizer = load_tokenizer(tiny_model)
    with pytest.raises(
        ShedError, match=r"record [0-9a-f]{16} \(mine, line 3\): its response has 301 tokens and the model takes 256"
    ):
        encode_all([single_turn("q", "y" * 300, "s", "mine, line 3")], tokenizer, "plain", 64, 256, end=False)
    tokenizer.chat_template = None
    with pytest.raises(ShedError, match="no chat template; use plain"):
        encode_all([], tokenizer, "chat", 64, 256, end=False)
