"""What is written is greedy, the same in batches of any size, and scored by the words that it shares with the response."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_tokenizers
import torch
from rouge_score.rouge_scorer import RougeScorer
from tiny_tokenizers import Kind
from transformers import LlamaForCausalLM

from shed.common.errors import ShedError
from shed.data.records import Message, Record, single_turn
from shed.evaluation.generation import Writing, answer, expected, rouge_l, write
from shed.evaluation.lm_evaluation import evaluate
from shed.models.encoding import Encoder
from shed.models.loading import load_language_model
from shed.models.specs import Form, LoraSettings, ModelSpec
from shed.tuning.finetuning import TuningSettings, finetune

FREE = [single_turn(f"say {'very ' * (n % 5)}number {n}", f"it is {n}", "sayings", "o") for n in range(9)]
LORA = LoraSettings(8, 16, ["q_proj", "v_proj", "up_proj", "down_proj"])


@pytest.fixture(scope="module", params=["plain", "chat"])
def spec(request: pytest.FixtureRequest, tiny_model: str) -> ModelSpec:
    return ModelSpec(tiny_model, request.param, 200)


@pytest.mark.parametrize("batch_size", [2, 4, 16])
def test_batches_of_any_size_write_the_same_texts_one_token_after_the_other(spec: ModelSpec, batch_size: int) -> None:
    own = load_language_model(spec)
    one_by_one = write(own.model, own.encoder, FREE, 12, 1)
    assert write(own.model, own.encoder, FREE, 12, batch_size) == one_by_one
    assert one_by_one == [naively(own.model, own.encoder, record, 12) for record in FREE]
    assert len(set(one_by_one)) > 1


def naively(model: torch.nn.Module, encoder: Encoder, record: Record, most: int) -> str:
    """The likeliest token again and again, each from a pass over all before it, until one that ends an answer."""
    tokens = encoder.prompt_tokens(record, 100)
    start = len(tokens)
    for _ in range(most):
        with torch.no_grad():
            best = int(model(torch.tensor([tokens])).logits[0, -1].argmax())
        if best in encoder.stops:
            break
        tokens.append(best)
    return encoder.tokenizer.decode(tokens[start:], skip_special_tokens=True).strip()


def test_a_model_that_knows_a_record_by_heart_writes_it_and_stops(spec: ModelSpec, tmp_path: Path) -> None:
    record = single_turn("say it", "so be it", "sayings", "o")
    finetune([record], spec, TuningSettings(LORA, 0.03, 0.0, 1, 40, 1), tmp_path / "adapter", "all")
    assert answer(["say it"], spec, tmp_path / "adapter", 60) == ["so be it"]
    assert answer(["say it"], spec, tmp_path / "adapter", 6) == ["so be"]  # bytes are tokens here


@pytest.mark.parametrize("form", ["plain", "chat"])
@pytest.mark.parametrize("kind", ["smollm2", "llama2", "gemma2", "qwen3"])
def test_what_a_model_writes_that_knows_a_record_by_heart_scores_one(kind: Kind, form: Form, tmp_path: Path) -> None:
    """What is tuned is what is measured: the prompt that is given, where an answer stops, and the text that it is held against."""
    turns = [Message("user", "Spell </s>"), Message("assistant", "</s> is it"), Message("user", "the capital of Norway?")]
    record = Record((*turns, Message("assistant", "Oslo is the capital of Norway.\n\n- Oslo")), "s", "o")
    spec = ModelSpec(model_of(kind, tmp_path / "model"), form, 300)
    finetune([record], spec, TuningSettings(LORA, 0.02, 0.0, 1, 40, 1), tmp_path / "adapter", "all")
    items = evaluate(spec, tmp_path / "adapter", {"test": [record]}, None, 1, [], Writing(None, 60))
    assert items["written"].tolist() == [1.0]
    text = expected(load_language_model(spec).encoder, record)
    assert text.removeprefix("<think>\n\n</think>\n\n") == "Oslo is the capital of Norway.\n\n- Oslo"


def model_of(kind: Kind, folder: Path) -> str:
    """A random model that can write its padding token, which closes a turn in some kinds."""
    model = LlamaForCausalLM.from_pretrained(tiny_tokenizers.save(kind, folder))
    with torch.no_grad():
        rows = model.get_input_embeddings().weight
        rows[rows.abs().sum(dim=1) == 0] = 0.2 * torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(0))
    model.save_pretrained(folder)
    return str(folder)


def test_the_last_turn_is_written_after_all_before_it(tiny_model: str) -> None:
    own = load_language_model(ModelSpec(tiny_model, "plain", 200))
    turns = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d"))
    last = Record(turns, "s", "o")
    (text,) = write(own.model, own.encoder, [last], 8, 1)
    assert text == naively(own.model, own.encoder, last, 8)
    assert write(own.model, own.encoder, [replace(last, messages=turns[2:])], 8, 1) != [text]
    assert write(own.model, own.encoder, [last.with_response("another")], 8, 1) == [text]


def test_which_records_are_answered() -> None:
    with_options = single_turn("a or b", "a", "s", "o", ("a", "b"), 0)
    not_trained = Record((Message("user", "a"), Message("assistant", "b", 0.0)), "s", "o")
    records = [FREE[0], with_options, not_trained, FREE[1], FREE[2]]
    assert Writing(2, 8).places(records) == [0, 3]
    assert Writing(None, 8).places(records) == [0, 3, 4]
    assert Writing(0, 8).places(records) == []


@pytest.mark.parametrize(
    ("wanted", "written", "score"),
    [
        ("The cat sat on the mat.", "the cat, on the mat", 10 / 11),
        ("yes", "yes", 1.0),
        ("yes", "", 0.0),
        ("yes", "no", 0.0),
        ("one two three four five six", "one two", 0.5),  # an answer that was cut is held against the whole response
        ("one two", "one two three four five six", 0.5),
        ("a b c", "c b a", 1 / 3),
        ("Осло — столица", "осло столица", 1.0),
        ("हिन्दी भाषा", "हिन्दी", 2 / 3),
        ("東京です", "東京", 2 / 3),
        ("!?", "!?", 1.0),
        ("!?", "hm", 0.0),
        ("<think>\n\n</think>\n\nOslo", "<think>\n\n</think>\n\nRome", 0.0),
        ("<think>Norway</think>Oslo", "<think>Peru</think>Oslo", 3 / 4),
    ],
)
def test_the_score_is_the_f1_of_the_longest_common_subsequence_of_words(wanted: str, written: str, score: float) -> None:
    assert rouge_l(written, wanted) == pytest.approx(score)
    if wanted.isascii() and wanted[0].isalpha():
        rouge = RougeScorer(["rougeL"]).score(wanted, written)["rougeL"]
        assert rouge_l(written, wanted) == pytest.approx(rouge.fmeasure)


def test_answers_are_greedy_and_a_long_question_leaves_room_for_them(tiny_model: str) -> None:
    questions = ["why?", "x" * 500, "y" * 100 + "x" * 500]
    spec = ModelSpec(tiny_model, "plain", 200)
    first = answer(questions, spec, None, 8)
    assert first == answer(questions, spec, None, 8)
    assert first[1] == first[2]  # cut at their start, to the same end


def test_a_folder_without_an_adapter_is_refused(tiny_model: str, tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="this folder holds no adapter") as error:
        answer(["why?"], ModelSpec(tiny_model, "plain", 200), tmp_path, 8)
    assert error.value.setting == "adapter"
