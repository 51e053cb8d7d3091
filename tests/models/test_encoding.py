"""A record's text and tokens: the response is never cut, the prompt at its start."""

import pytest

from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.models.encoding import Encoder, cut_counts
from shed.models.loading import load_language_model, load_tokenizer
from shed.models.specs import Form, ModelSpec

TURNS = (("system", "Be brief."), ("user", "2+2?"), ("assistant", "4"), ("user", "3+3?"), ("assistant", "6"))
RECORD = Record(TURNS, "s", "o")


def encoder(model: str, form: Form = "plain", max_tokens: int = 500, positions: int = 256) -> Encoder:
    return Encoder(load_tokenizer(model), form, max_tokens, positions)


def test_the_plain_and_the_chat_form(tiny_model: str) -> None:
    assert encoder(tiny_model).prompt_text(RECORD) == "Be brief.\nQuestion: 2+2?\nAnswer: 4\nQuestion: 3+3?\nAnswer:"
    assert encoder(tiny_model, "chat").prompt_text(RECORD).endswith("<user>3+3?<end><assistant>")


@pytest.mark.parametrize(("form", "response"), [("plain", " 6<end>"), ("chat", "6<end>")])
def test_the_response_begins_where_the_prompt_ends(tiny_model: str, form: Form, response: str) -> None:
    own = encoder(tiny_model, form)
    one = own.encode(RECORD, end=True)
    assert own.tokenizer.decode(one.tokens[one.prompt_length :]) == response
    assert one.cut == 0
    assert list(one.tokens) == [*own.tokens(own.prompt_text(RECORD)), *own.response_tokens("6"), own.tokenizer.eos_token_id]
    assert own.encode(RECORD, end=False).tokens == one.tokens[:-1]


def test_a_sequence_begins_with_the_token_that_the_tokenizer_begins_with(tiny_model: str) -> None:
    from tokenizers.processors import TemplateProcessing

    own = encoder(tiny_model, max_tokens=20)
    record = single_turn("x" * 100, "answer", "s", "o")
    without = own.encode(record, end=False)
    assert own.opening == []
    beginning = own.tokenizer.convert_ids_to_tokens(0)
    own.tokenizer.bos_token = beginning
    own.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{beginning} $A", special_tokens=[(beginning, 0)]
    )
    assert own.opening == [0]
    plain = own.encode(record, end=False)
    assert plain.tokens == (0, *without.tokens[1:])  # the token stays when the prompt is cut
    assert (plain.prompt_length, plain.cut) == (without.prompt_length, without.cut + 1)
    chat = Encoder(own.tokenizer, "chat", 500, 256)
    assert chat.opening == []  # the template writes what it begins with
    assert chat.encode(record, end=False).tokens[0] != 0


@pytest.mark.parametrize(("max_tokens", "positions"), [(20, 256), (500, 20)])
def test_a_long_prompt_loses_its_start_and_the_response_nothing(tiny_model: str, max_tokens: int, positions: int) -> None:
    own = encoder(tiny_model, max_tokens=max_tokens, positions=positions)
    long = own.encode(single_turn("x" * 100, "answer", "s", "o"), end=False)
    assert len(long.tokens) == 20
    assert own.tokenizer.decode(long.tokens) == "xxxxx\nAnswer: answer"
    assert long.cut == len("Question: " + "x" * 100 + "\nAnswer:") - 13


def test_a_response_longer_than_the_context_is_kept_whole_and_counted(tiny_model: str) -> None:
    records = [single_turn("q", "y" * 50, "s", "o"), single_turn("q", "y", "s", "o")]
    encoded = encoder(tiny_model, max_tokens=16).encode_all(records, end=False)
    assert (encoded[0].prompt_length, encoded[0].response_length) == (1, 51)
    assert cut_counts(encoded, 16) == {"prompts_cut": 2, "prompt_tokens_cut": 23, "longer_than_context": 1}


def test_a_response_longer_than_the_model_and_a_missing_template_are_refused(tiny_model: str) -> None:
    own = encoder(tiny_model, max_tokens=64)
    with pytest.raises(
        ShedError, match=r"record [0-9a-f]{16} \(mine, line 3\): its response has 301 tokens and the model takes 256"
    ):
        own.encode_all([single_turn("q", "y" * 300, "s", "mine, line 3")], end=False)
    own.tokenizer.chat_template = None
    with pytest.raises(ShedError, match="needs a chat template, and this model's tokenizer has none; use plain") as error:
        Encoder(own.tokenizer, "chat", 64, 256)
    assert error.value.setting == "prompt form"


def test_a_model_is_loaded_with_the_encoder_that_its_spec_asks_for(tiny_model: str) -> None:
    loaded = load_language_model(ModelSpec(tiny_model, "chat", 64))
    own = loaded.encoder
    assert (own.form, own.max_tokens, own.positions) == ("chat", 64, 256)
    assert own.encode(RECORD, end=True) == encoder(tiny_model, "chat", 64).encode(RECORD, end=True)
    assert not loaded.model.training
