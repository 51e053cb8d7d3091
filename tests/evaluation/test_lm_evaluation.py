"""lm-eval's numbers, from packed questions: the same as its own model gives, and paired where two models are compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from datasets import Dataset, DatasetDict
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.engine.coalition_trainer import load_trainer
from shed.engine.regime import Regime
from shed.evaluation.generation import Writing, rouge_l, write
from shed.evaluation.lm_evaluation import evaluate
from shed.evaluation.named_tasks import task_questions
from shed.evaluation.packed_lm import PackedLM
from shed.evaluation.summaries import differences, headline, summarise
from shed.models.loading import load_language_model, load_model, load_tokenizer
from shed.models.specs import LoraSettings, ModelSpec


def requests(records: list[Record]) -> list[Instance]:
    pairs = [(f"Question: {r.prompt}\nAnswer:", f" {choice}") for r in records for choice in r.choices]
    return [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]


@pytest.mark.parametrize("batch_size", [1, 5, 64])
@pytest.mark.parametrize("max_length", [256, 20])
def test_packed_questions_score_as_lm_eval_scores_them_one_by_one(
    tiny_model: str, records: list[Record], batch_size: int, max_length: int
) -> None:
    model, tokenizer = load_model(tiny_model), load_tokenizer(tiny_model)
    ours = PackedLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=max_length)
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=3, max_length=max_length)
    got, expected = ours.loglikelihood(requests(records)), theirs.loglikelihood(requests(records), disable_tqdm=True)
    np.testing.assert_allclose([nats for nats, _ in got], [nats for nats, _ in expected], rtol=1e-4)
    assert [greedy for _, greedy in got] == [greedy for _, greedy in expected]


def test_one_split_has_choices_and_another_free_text(tiny_model: str, records: list[Record]) -> None:
    free = [single_turn(f"say {i}", "one two", "sayings", f"o{i}") for i in range(3)]
    items = evaluate(ModelSpec(tiny_model, "plain", 200), None, {"dev": records, "test": [*records[:5], *free]}, 4, 2, [])
    assert items.groupby("task").size().to_dict() == {"dev_counting": 4, "test_counting": 4, "test_sayings": 3}
    summary = summarise(items)
    assert summary["dev_counting"]["items"] == 4
    assert "accuracy" not in summary["test_sayings"]
    assert headline(summary)["test_accuracy"] == summary["test_counting"]["accuracy"]
    assert headline(summary)["test_loss"] == pytest.approx(
        (summary["test_counting"]["loss"] + summary["test_sayings"]["loss"]) / 2
    )
    tokens = items[items["task"] == "test_sayings"]["tokens"]
    assert (tokens == len(" one two")).all()  # bytes are tokens here


def test_answers_are_written_to_records_without_options_and_scored_against_their_responses(
    tiny_model: str, records: list[Record]
) -> None:
    free = [single_turn(f"say {i}", "one two " * (60 if i == 1 else 1), "sayings", f"o{i}") for i in range(4)]
    spec, splits = ModelSpec(tiny_model, "plain", 200), {"dev": free[:1], "test": [*records[:3], *free]}
    items = evaluate(spec, None, splits, None, 2, [], Writing(3, 8))
    asked = items[items["written"].notna()]
    assert asked.groupby("task").size().to_dict() == {"dev_sayings": 1, "test_sayings": 3}
    own = load_language_model(spec)
    texts = write(own.model, own.encoder, free[:3], 8, 1)
    of_test = asked[asked["task"] == "test_sayings"].set_index("id")["written"]
    assert of_test[[one.id for one in free[:3]]].tolist() == [
        rouge_l(text, one.response) for text, one in zip(texts, free, strict=False)
    ]
    summary = summarise(items)
    assert (summary["test_sayings"]["written"], summary["test_sayings"]["items"]) == (3, 4)
    assert headline(summary)["test_generation"] == summary["test_sayings"]["generation"] == pytest.approx(of_test.mean())
    assert "generation" not in summary["test_counting"]
    assert differences(items, items)["test_sayings"]["generation"] == 0.0
    unasked = evaluate(spec, None, splits, None, 2, [])
    pd.testing.assert_frame_equal(unasked, items.assign(written=np.nan))
    pd.testing.assert_frame_equal(evaluate(spec, None, splits, None, 2, [], Writing(0, 8)), unasked)


def test_where_all_records_have_options_nothing_is_written(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate(*_: object, **__: object) -> None:
        raise AssertionError("an answer was written")

    monkeypatch.setattr("transformers.LlamaForCausalLM.generate", generate)
    items = evaluate(ModelSpec(tiny_model, "plain", 200), None, {"test": records}, None, 4, [], Writing(None, 64))
    assert items["written"].isna().all()


def test_the_choice_loss_of_an_evaluation_is_what_the_utility_of_that_name_measures(
    tiny_model: str, records: list[Record]
) -> None:
    spec = ModelSpec(tiny_model, "plain", 200)
    regime = Regime(LoraSettings(2, 4, ["q_proj"]), "sgd", 0.1, 0.0, 4, 1, "constant", 0.0, 1)
    trainer = load_trainer(spec, records, records, "choice_loss", regime)
    (utility,) = trainer.utilities(np.zeros((1, len(records))))
    items = evaluate(spec, None, {"dev": records}, None, 4, [])
    assert summarise(items)["dev_counting"]["choice_loss"] == pytest.approx(-utility, rel=1e-4)


def task_file(folder: Path, **changes: Any) -> str:
    """A task file as lm-eval's users write them, with its data beside it."""
    rows = [{"question": f"{i}+1?", "choices": [f"{i}", f"{i + 1}"], "answer": 1} for i in range(5)]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    config = {
        "task": "sums",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}, "cache_dir": str(folder)},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}],
    }
    path = folder / "sums.yaml"
    path.write_text(
        yaml.safe_dump({key: value for key, value in (config | changes).items() if value is not None}), encoding="utf-8"
    )
    return str(path)


@pytest.mark.slow
def test_a_task_of_lm_eval_is_evaluated_beside_the_local_ones(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    items = evaluate(ModelSpec(tiny_model, "plain", 200), None, {"test": records[:2]}, 4, 2, [task_file(tmp_path)])
    sums = items[items["task"] == "test_sums"]
    assert sums["id"].tolist() == [f"sums/{i}" for i in range(4)]
    assert (sums["tokens"] == 2).all()  # a space and a digit: bytes are tokens here
    assert summarise(items)["test_sums"]["items"] == 4


@pytest.mark.slow
def test_a_task_that_lm_eval_does_not_have_or_that_cannot_be_measured_is_one_line(
    tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    def run(task: str) -> None:
        evaluate(ModelSpec(tiny_model, "plain", 200), None, {"test": records[:2]}, 4, 2, [task])

    with pytest.raises(ShedError, match="lm-eval has no task 'arc_chalenge'"):
        run("arc_chalenge")
    with pytest.raises(ShedError, match="the data of the task .*sums.yaml cannot be loaded"):
        run(task_file(tmp_path, dataset_path=str(tmp_path / "nothing")))
    with pytest.raises(ShedError, match="the task sums is neither multiple choice with one right answer nor one whose"):
        run(task_file(tmp_path, output_type="loglikelihood", doc_to_choice=None, doc_to_target="it is {{answer}}"))
    with pytest.raises(ShedError, match="the task .*sums.yaml cannot be run here .*unsafe") as error:
        run(written_task(tmp_path, task="sums_unsafe", unsafe_code=True))
    assert error.value.setting == "tasks"
    corpus = [{"metric": "bleu"}]  # of all answers together
    with pytest.raises(ShedError, match="written to the task sums_bleu have no score from 0 to 1 each; its metrics are bleu"):
        run(written_task(tmp_path, task="sums_bleu", metric_list=corpus))
    with pytest.raises(ShedError, match="a task has answers of up to 256 tokens, and the context has 200; no room") as error:
        run(written_task(tmp_path, task="sums_long", generation_kwargs={"until": ["\n"]}))
    assert error.value.setting == "context length"


def written_task(folder: Path, **changes: Any) -> str:
    """A task file whose answers the model writes; the first filter takes the first number, the second the answer as it is."""
    filters = [
        {"name": "number", "filter": [{"function": "regex", "regex_pattern": "([0-9])"}, {"function": "take_first"}]},
        {"name": "whole", "filter": [{"function": "take_first"}]},
    ]
    of_writing = {
        "output_type": "generate_until",
        "doc_to_choice": None,
        "doc_to_target": "{{choices[answer]}}",
        "metric_list": [{"metric": "bleu"}, {"metric": "exact_match", "ignore_case": True}],
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 6},
        "filter_list": filters,
    }
    return task_file(folder, **of_writing | changes)


@pytest.mark.slow
def test_a_task_whose_answers_are_written_has_the_score_of_its_first_filter_and_nothing_else(
    tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def generate_until(_: Any, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        assert [request.args[0] for request in requests] == [f"{i}+1?" for i in range(4)]
        return [" 1 ", "it is 2", "2", "three"]

    with monkeypatch.context() as patched:
        patched.setattr(HFLM, "generate_until", generate_until)
        items = evaluate(ModelSpec(tiny_model, "plain", 200), None, {"test": records[:2]}, 4, 2, [written_task(tmp_path)])
    sums = items[items["task"] == "test_sums"]
    assert sums["id"].tolist() == [f"sums/{i}" for i in range(4)]
    assert sums["written"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert sums[["correct", "nats", "tokens", "choice_nats"]].isna().all(axis=None)
    assert "shed: sums: what the model writes is scored by exact_match, after the filter number" in capsys.readouterr().err
    assert set(summarise(items)["test_sums"]) == {"generation", "generation_stderr", "written", "items"}
    assert "loss" not in differences(items, items)["test_sums"]
    assert headline(summarise(items))["test_loss"] == summarise(items)["test_counting"]["loss"]
    truly = evaluate(ModelSpec(tiny_model, "chat", 200), None, {"test": records[:2]}, 4, 2, [written_task(tmp_path)])
    assert truly.loc[truly["task"] == "test_sums", "written"].between(0, 1).all()


@pytest.mark.slow
def test_where_a_task_has_a_number_for_a_text_its_options_are_its_questions(tmp_path: Path) -> None:
    found = task_questions([task_file(tmp_path, doc_to_text="{{answer}}")])
    assert found["sums"][:2] == ["0", "1"]


def hub(path: str, name: str, **_: object) -> DatasetDict:
    """Stands in for the hub: questions in the columns of ARC's and MMLU's data."""
    rows: list[dict[str, Any]]
    if path == "allenai/ai2_arc":
        options = [{"text": ["yes", "no", "maybe"], "label": labels} for labels in (["A", "B", "C"], ["1", "2", "3"])]
        rows = [
            {"question": f"Is {i} odd?", "choices": options[i % 2], "answerKey": options[i % 2]["label"][1]} for i in range(6)
        ]
    else:
        assert path == "cais/mmlu"
        rows = [
            {"question": f"{name} {i}?", "choices": ["a", "bc", "d", "e"], "answer": i % 4, "subject": name} for i in range(6)
        ]
    return DatasetDict({split: Dataset.from_list(rows) for split in ("train", "validation", "dev", "test")})


@pytest.mark.slow
def test_the_papers_tasks_by_the_names_that_lm_eval_has_for_them(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.load_dataset", hub)
    items = evaluate(ModelSpec(tiny_model, "plain", 200), None, {"test": records[:2]}, 2, 2, ["arc_challenge", "mmlu"])
    assert items.groupby("task").size().to_dict() == {"test_arc_challenge": 2, "test_counting": 2, "test_mmlu": 2 * 57}
    assert items["id"].is_unique
    assert set(items.loc[items["task"] == "test_arc_challenge", "tokens"]) == {len(" no")}  # bytes are tokens here
    summary = summarise(items)
    assert 0 <= summary["test_mmlu"]["accuracy"] <= 1
    assert summary["test_arc_challenge"]["choice_loss"] > 0
    assert headline(summary)["test_loss"] == pytest.approx(np.mean([task["loss"] for task in summary.values()]))


@pytest.mark.slow
def test_the_questions_of_tasks_are_told_as_a_model_is_asked_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert task_questions([]) == {}
    assert task_questions([task_file(tmp_path)]) == {"sums": [f"{i}+1?" for i in range(5)]}
    with pytest.raises(ShedError, match="lm-eval has no task 'arc_chalenge'") as error:
        task_questions(["arc_chalenge"])
    assert error.value.setting == "tasks"
    with pytest.raises(ShedError, match="the data of the task .*sums.yaml cannot be loaded"):
        task_questions([task_file(tmp_path, dataset_path=str(tmp_path / "nothing"))])
    monkeypatch.setattr("datasets.load_dataset", hub)
    found = task_questions(["mmlu", "arc_challenge"])
    assert {name: len(questions) for name, questions in found.items()} == {"mmlu": 57 * 6, "arc_challenge": 6}
    assert "astronomy 3?" in "".join(found["mmlu"])


def test_loss_is_nats_over_tokens_and_differences_are_paired() -> None:
    base = pd.DataFrame(
        {
            "task": "test_a",
            "id": list("wxyz"),
            "correct": [0.0, 1.0, 0.0, 1.0],
            "nats": [8.0, 2.0, 6.0, 4.0],
            "tokens": [4, 1, 3, 2],
            "choice_nats": [1.5, 1.0, 2.0, 0.5],
            "written": [0.5, np.nan, 0.0, np.nan],
        }
    )
    tuned = base.assign(correct=[1.0, 1.0, 0.0, 1.0], nats=base["nats"] - base["tokens"], choice_nats=1.0)
    tuned = tuned.assign(written=tuned["written"] + 0.25).iloc[::-1]
    assert (summarise(base)["test_a"]["loss"], summarise(base)["test_a"]["choice_loss"]) == (2.0, 1.25)
    change = differences(tuned, base)["test_a"]
    assert (change["accuracy"], change["loss"], change["choice_loss"]) == (0.25, -1.0, -0.25)
    assert change["accuracy_stderr"] == pytest.approx(0.25)
    assert (change["generation"], change["generation_stderr"]) == (0.25, 0.0)
    assert change["loss_stderr"] == 0.0  # every item fell by the same, so the pairs leave no doubt
    with pytest.raises(ValueError, match="not of the same items"):
        differences(tuned.iloc[:3], base)


def test_the_ratio_stderr_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 9, 300)
    items = pd.DataFrame(
        {"task": "test_a", "id": range(300), "correct": 1.0, "nats": tokens * rng.gamma(2.0, 1.0, 300), "tokens": tokens}
    ).assign(choice_nats=1.0, written=np.nan)
    draws = [items.sample(frac=1.0, replace=True, random_state=seed) for seed in range(400)]
    bootstrap = np.std([draw["nats"].sum() / draw["tokens"].sum() for draw in draws])
    assert summarise(items)["test_a"]["loss_stderr"] == pytest.approx(bootstrap, rel=0.15)


def test_a_model_is_evaluated_with_its_adapter(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    from shed.tuning.finetuning import TuningSettings, finetune

    spec = ModelSpec(tiny_model, "plain", 200)
    settings = TuningSettings(LoraSettings(4, 8, ["q_proj", "down_proj"]), 0.05, 0.0, 4, 6, 1)
    finetune(records, spec, settings, tmp_path / "adapter", "all")
    runs = [evaluate(spec, adapter, {"dev": records}, None, 4, []) for adapter in (None, tmp_path / "adapter")]
    change = differences(runs[1], runs[0])["dev_counting"]
    assert change["loss"] < -1.0
