"""A record's tokens: the form's own text around the record's, what is trained marked, and a rule for what does not fit."""

import json
import re
from dataclasses import replace

import pytest
from encoded_text import CALL, QUESTION, SUMS, TOOL_USE, TOOLS, encoder, shown
from hypothesis import given
from hypothesis import strategies as st
from tiny_tokenizers import KINDS, Kind

from shed.common.errors import ShedError
from shed.data.records import Message, Record, single_turn
from shed.models.checks import templated
from shed.models.encoding import Encoder
from shed.models.loading import load_language_model, load_tokenizer
from shed.models.specs import Form, ModelSpec

SAID_CALL = json.dumps([json.loads(CALL)[0]["function"]])
QUESTION_4 = single_turn("2+2?", "4", "s", "o")


@pytest.mark.parametrize(
    ("kind", "form", "text"),
    [
        ("smollm2", "plain", "Question: 2+2?\nAnswer:[ 4<|im_end|>]\nQuestion: 3+3?\nAnswer:[ 6<|im_end|>]"),
        ("llama2", "plain", "<s>Question: 2+2?\nAnswer:[4</s>]\nQuestion: 3+3?\nAnswer:[6</s>]"),
        ("qwen3", "plain", "Question: 2+2?\nAnswer:[ 4<|endoftext|>]\nQuestion: 3+3?\nAnswer:[ 6<|endoftext|>]"),
        (
            "smollm2",
            "chat",
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
            "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n[4<|im_end|>]\n"
            "<|im_start|>user\n3+3?<|im_end|>\n<|im_start|>assistant\n[6<|im_end|>]",
        ),
        ("llama2", "chat", "<s> [INST] 2+2? [/INST][4</s>]<s> [INST] 3+3? [/INST][6</s>]"),
        (
            "gemma2",
            "chat",
            "<bos><start_of_turn>user\n2+2?<end_of_turn>\n<start_of_turn>model\n[4<end_of_turn>]\n"
            "<start_of_turn>user\n3+3?<end_of_turn>\n<start_of_turn>model\n[6<end_of_turn>]",
        ),
        (
            "qwen3",
            "chat",
            "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n[4<|im_end|>]\n"
            "<|im_start|>user\n3+3?<|im_end|>\n<|im_start|>assistant\n[<think>\n\n</think>\n\n6<|im_end|>]",
        ),
    ],
)
def test_every_turn_of_the_assistant_is_trained_and_closed_as_the_form_closes_it(kind: Kind, form: Form, text: str) -> None:
    own = encoder(kind, form)
    assert shown(own, own.encode(SUMS, end=True)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("record", [QUESTION, SUMS], ids=["question", "conversation"])
def test_the_chat_form_has_the_tokens_that_the_tokenizer_makes_of_the_conversation(kind: Kind, record: Record) -> None:
    own = encoder(kind, "chat")
    messages = [{"role": turn.role, "content": turn.content} for turn in record.messages]
    theirs = own.tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
    ours = list(own.encode(record, end=True).tokens)
    assert ours == theirs[: len(ours)]
    assert own.tokenizer.decode(theirs[len(ours) :]).strip() == ""  # after what closes the turn, a newline at most


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["plain", "chat"])
def test_a_model_is_asked_with_the_tokens_before_the_response_that_it_was_tuned_on(kind: Kind, form: Form) -> None:
    own = encoder(kind, form)
    one = own.encode(QUESTION, end=True)
    assert tuple(own.prompt_tokens(QUESTION, 500)) == one.tokens[: one.prompt_length]
    if form == "plain":
        theirs = own.tokenizer.encode("Question: What is the capital of Norway?\nAnswer: Oslo")  # with a beginning token
        assert list(one.tokens) == [*theirs, own.tokenizer.eos_token_id]


@pytest.mark.parametrize(
    ("kind", "form", "stops"),
    [
        ("qwen3", "plain", {"<|endoftext|>"}),
        ("qwen3", "chat", {"<|endoftext|>", "<|im_end|>"}),
        ("gemma2", "chat", {"<eos>", "<end_of_turn>"}),
        ("llama2", "chat", {"</s>"}),
    ],
)
def test_an_answer_ends_where_the_tuned_turns_end(kind: Kind, form: Form, stops: set[str]) -> None:
    own = encoder(kind, form)
    assert {own.tokenizer.convert_ids_to_tokens(token) for token in own.stops} == stops
    assert own.encode(QUESTION, end=True).tokens[-1] in own.stops


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["plain", "chat"])
def test_utilities_measure_the_same_tokens_without_what_closes_the_turn(kind: Kind, form: Form) -> None:
    own = encoder(kind, form)
    tuned, measured = own.encode(SUMS, end=True), own.encode(SUMS, end=False)
    assert measured.tokens == tuned.tokens[: len(measured.tokens)]
    assert [span.start for span in measured.spans] == [span.start for span in tuned.spans]
    assert [span.end + 1 for span in measured.spans] == [span.end for span in tuned.spans]
    assert measured.spans[-1].end == len(measured.tokens)


def test_a_weight_belongs_to_its_turn_and_a_turn_of_weight_0_is_read_alone() -> None:
    own = encoder("smollm2")
    turns = (Message("user", "a"), Message("assistant", "b", 0.0), Message("user", "c"), Message("assistant", "d", 0.5))
    one = own.encode(Record(turns, "s", "o"), end=True)
    assert shown(own, one) == "Question: a\nAnswer: b<|im_end|>\nQuestion: c\nAnswer:[ d<|im_end|>]"
    count = len(own.tokenizer.encode(" d<|im_end|>"))
    assert (one.response_length, one.response_weight, one.weights) == (count, count / 2, [0.5] * count)


def test_options_are_responses_of_which_each_alone_counts() -> None:
    own = encoder("smollm2")
    record = Record((*SUMS.messages[:-1], Message("assistant", "6")), "s", "o", ("6", "7 or 8"), 0)
    right, wrong = own.encode_options(record)
    assert shown(own, right) == "Question: 2+2?\nAnswer: 4<|im_end|>\nQuestion: 3+3?\nAnswer:[ 6]"
    assert shown(own, wrong) == "Question: 2+2?\nAnswer: 4<|im_end|>\nQuestion: 3+3?\nAnswer:[ 7 or 8]"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["plain", "chat"])
def test_a_control_token_that_a_text_spells_is_text(kind: Kind, form: Form) -> None:
    own = encoder(kind, form)
    special = own.renderer.close
    control = own.tokenizer.convert_tokens_to_ids(special)
    count = own.encode(QUESTION, end=True).tokens.count(control)
    spelt = single_turn(f"What is{special} the capital of Norway?", f"Oslo{special} or", "s", "o")
    one = own.encode(spelt, end=True)
    assert one.tokens.count(control) == count
    assert own.tokenizer.decode(one.tokens).count(special) == count + 2
    assert shown(own, one).rstrip("]").endswith(special)
    assert "Oslo" in shown(own, one).rsplit("[", 1)[1]


def test_a_hidden_control_token_changes_no_other_token() -> None:
    for kind in KINDS:
        own = encoder(kind)
        spelt = own.encode(
            single_turn("What is the capital", "Oslo and Rome</s><|im_end|><eos><|endoftext|>", "s", "o"), end=True
        )
        plain = own.encode(single_turn("What is the capital", "Oslo and Rome", "s", "o"), end=False)
        assert spelt.tokens[: len(plain.tokens) - 1] == plain.tokens[:-1], kind


def test_tools_calls_and_reasoning_are_written_by_the_template() -> None:
    own = encoder("qwen3", "chat")
    text = shown(own, own.encode(TOOL_USE, end=True))
    assert '"name": "add", "description": "Adds."' in text
    assert '[<think>\nI add.\n</think>\n\n<tool_call>\n{"name": "add", "arguments": {"a": 3}}\n</tool_call><|im_end|>]' in text
    assert "<tool_response>\n6\n</tool_response>" in text
    assert text.endswith("[<think>\nDone.\n</think>\n\nIt is 6.<|im_end|>]")


def test_the_plain_form_has_a_line_for_each_part_of_tool_use() -> None:
    own = encoder("smollm2")
    assert shown(own, own.encode(TOOL_USE, end=True)) == (
        f"Tools: {TOOLS}\nQuestion: 3+3?\nAnswer:[ I add.\n{SAID_CALL}<|im_end|>]\n"
        "Tool result: 6\nAnswer:[ Done.\nIt is 6.<|im_end|>]"
    )


def test_the_random_id_of_a_call_is_not_trained() -> None:
    own, (first, second, *rest) = encoder("smollm2"), TOOL_USE.messages
    with_id = json.dumps([{"id": "call_9xYz", **json.loads(CALL)[0]}])
    record = replace(TOOL_USE, messages=(first, replace(second, tool_calls=with_id), *rest))
    assert own.encode(record, end=True).tokens == own.encode(TOOL_USE, end=True).tokens


def test_a_completion_that_begins_with_a_space_gets_no_second_one() -> None:
    own = encoder("smollm2")
    assert own.encode(single_turn("2+2?", " 4", "s", "o"), end=True).tokens == own.encode(QUESTION_4, end=True).tokens


def test_tools_that_a_template_leaves_out_are_missed_although_a_text_has_their_names() -> None:
    """SmolLM2's template writes neither tools nor calls; the user happens to say the tool's name."""
    own, (_, call, *rest) = encoder("smollm2", "chat"), TOOL_USE.messages
    plain = [replace(turn, reasoning="") for turn in (call, *rest)]
    record = replace(TOOL_USE, messages=(Message("user", f"Please add 3 and 3: {TOOLS} {CALL}"), *plain))
    assert own.unfit(record) == "the chat template leaves out the tool calls"
    without = replace(record, messages=(*record.messages[:1], record.messages[-1]))
    assert own.unfit(without) == "the chat template leaves out the tools"


def test_a_template_that_writes_a_calls_name_without_its_arguments_is_refused() -> None:
    own = encoder("qwen3", "chat")
    assert own.unfit(TOOL_USE) is None
    own.tokenizer.chat_template = own.tokenizer.chat_template.replace("tool_call.arguments", "'{}'")
    assert own.unfit(TOOL_USE) == "the chat template leaves out the tool calls"


def test_reasoning_that_a_template_leaves_out_of_an_earlier_turn_is_missed_where_that_turn_is_trained() -> None:
    """Qwen3's template writes the reasoning after the last question alone."""
    own = encoder("qwen3", "chat")
    question, answer, *rest = SUMS.messages
    thought = replace(answer, reasoning="Two and two.")
    assert own.unfit(replace(SUMS, messages=(question, thought, *rest))) == "the chat template leaves out the reasoning"
    assert own.unfit(replace(SUMS, messages=(question, replace(thought, weight=0.0), *rest))) is None


def test_rows_that_a_template_has_written_already_are_counted() -> None:
    written = single_turn("<|im_start|>user\nQ<|im_end|>", "A", "s", "o")
    assert templated(encoder("smollm2"), [written, QUESTION_4, TOOL_USE]) == 1


@pytest.mark.parametrize(
    ("kind", "record", "said"),
    [
        ("smollm2", TOOL_USE, "the chat template leaves out the (tool calls|reasoning)"),
        ("gemma2", Record((Message("system", "Be brief."), *SUMS.messages), "s", "o"), "refuses.*System role not supported"),
        ("mistral", Record((Message("system", "Be brief."), *SUMS.messages), "s", "o"), "writes an earlier turn otherwise"),
        ("llama2", Record((Message("user", "a"), *SUMS.messages), "s", "o"), "refuses.*must alternate"),
    ],
)
def test_what_a_template_cannot_write_is_refused_with_its_reason(kind: Kind, record: Record, said: str) -> None:
    own = encoder(kind, "chat")
    with pytest.raises(ShedError, match=said):
        own.encode(record, end=True)
    assert re.search(said, own.unfit(record) or "")
    assert own.unfit(QUESTION) is None


def test_a_template_that_closes_no_turn_is_ended_by_the_end_token() -> None:
    own = encoder("qwen3", "chat")
    own.tokenizer.chat_template = (
        "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    text = shown(own, own.encode(SUMS, end=True))
    assert text == "user: 2+2?\nassistant: [4]\nuser: 3+3?\nassistant: [6<|endoftext|>]"
    assert shown(own, own.encode(SUMS, end=False)).endswith("assistant: [6]")


def test_the_last_turn_can_be_trained_where_earlier_ones_are_rewritten() -> None:
    own = encoder("mistral", "chat")
    turns = [Message("system", "Be brief."), *SUMS.messages]
    turns[2] = Message("assistant", "4", 0.0)
    text = shown(own, own.encode(Record(tuple(turns), "s", "o"), end=True))
    assert text.count("[6</s>]") == 1
    assert text.count("4</s>") == 1


def test_a_missing_template_is_refused(tiny_model: str) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = None
    with pytest.raises(ShedError, match="needs a chat template, and this model's tokenizer has none; use plain") as error:
        Encoder(tokenizer, "chat", 64, 256)
    assert error.value.setting == "prompt form"


def test_a_model_is_loaded_with_the_encoder_that_its_spec_asks_for(tiny_model: str) -> None:
    loaded = load_language_model(ModelSpec(tiny_model, "chat", 64))
    own = loaded.encoder
    assert (own.form, own.max_tokens, own.positions) == ("chat", 64, 256)
    assert not loaded.model.training


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12) | st.sampled_from(
    ["<|im_end|>", "</s>", " the capital", "\n\n", "<end_of_turn>", "Answer:"]
)


@given(
    st.sampled_from(KINDS), st.sampled_from(["plain", "chat"]), st.lists(TEXTS, min_size=2, max_size=6), st.integers(110, 200)
)
def test_no_text_breaks_the_rules(kind: Kind, form: Form, texts: list[str], max_tokens: int) -> None:
    """Whatever is said: the sequence fits, something is trained, nothing of weight 0 is, and no span begins the sequence."""
    own = ENCODERS[kind, form]
    turns = tuple(Message("assistant" if n % 2 else "user", text) for n, text in enumerate(texts[: len(texts) // 2 * 2]))
    own = Encoder(own.tokenizer, form, max_tokens, 512)
    one = own.encode(Record(turns, "s", "o"), end=True)
    assert len(one.tokens) <= max_tokens
    assert one.spans[0].start > 0
    assert len(one.spans) <= len(turns) // 2
    assert one.spans[-1].end == len(one.tokens)


ENCODERS = {(kind, form): encoder(kind, form) for kind in KINDS for form in ("plain", "chat")}
