"""Making a project: the pipeline, the user's data, and params that suit them; nothing is written over."""

import json
from pathlib import Path
from typing import Any

import pytest
from project_calls import call, git, write_rows
from ruamel.yaml import YAML

from shed.cli.making.init import AS_IT_STANDS
from shed.cli.making.sizing.look import look
from shed.cli.making.sizing.tokens import FRAME, counter
from shed.data.readers import Reading
from shed.data.records import Record
from shed.data.splits import read_split
from shed.models.encoding import Encoder, token_lengths
from shed.models.loading import load_tokenizer
from shed.params import load_params
from tools.project_template import TEMPLATE, is_current, renewed

pytestmark = pytest.mark.usefixtures("git_user")


def stages(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return found


@pytest.mark.parametrize("name", sorted(renewed()))
def test_the_template_is_of_this_very_pipeline(name: str) -> None:
    assert is_current(TEMPLATE / name, renewed()[name]), "stale: run make deps"


def test_a_new_project_has_the_pipeline_the_data_and_a_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool, dev = write_rows(tmp_path / "data" / "pool.jsonl", 100), write_rows(tmp_path / "data" / "dev.jsonl", 20, 200)
    assert (
        call("init", "mine", "--pool", "data/pool.jsonl", "--dev", str(dev), "--test", "data/dev.jsonl", "--prompt", "chat")
        == 0
    )
    said = capsys.readouterr().out
    assert "100 rows of the form alpaca" in said
    assert "shed check" in said
    params = load_params(tmp_path / "mine/params.yaml")
    assert (params.data.pool, params.data.dev) == (str(pool), str(dev))
    assert (params.data.pool_rows, params.C, params.rate.warm_rows, params.model.prompt) == (None, 5, 20, "chat")
    assert params.sample.fraction == 0.16  # sixteen rows, which are two batches
    code = json.loads((tmp_path / "mine/pipeline.json").read_text(encoding="utf-8"))["stages"]
    assert set(code) == set(stages(tmp_path / "mine"))
    for name, stage in stages(tmp_path / "mine").items():
        assert stage["cmd"] == f"shed stage {name}"
        assert {"pipeline.json": [f"stages.{name}"]} in stage["params"]
        assert not [dep for dep in stage.get("deps", ()) if str(dep).endswith(".py")]
    assert git(tmp_path / "mine", "status", "--short") == ""
    assert len(git(tmp_path / "mine", "log", "--oneline").splitlines()) == 1


def test_what_dvc_keeps_is_never_in_git_whatever_becomes_of_a_run(tmp_path: Path) -> None:
    assert call("init", "mine", "--demo") == 0
    outs = [out for stage in stages(tmp_path / "mine").values() for out in stage.get("outs", ())]
    named = [(out, {}) if isinstance(out, str) else next(iter(out.items())) for out in outs]
    kept = [path for path, own in named if own.get("cache", True)]
    assert {"data/prepared/pool.jsonl", "data/embeddings.npy", "data/adapter"} <= {*kept}
    for path in kept:
        assert git(tmp_path / "mine", "check-ignore", path).strip() == path


def test_data_inside_the_project_is_named_from_there(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine" / "rows" / "pool.jsonl", 60)
    assert call("init", "mine", "--pool", "mine/rows/pool.jsonl") == 0
    assert load_params(tmp_path / "mine/params.yaml").data.pool == "rows/pool.jsonl"


def test_without_dev_and_test_some_of_the_pool_are_split_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / "pool.jsonl", 60)
    assert call("init", "mine", "--pool", "pool.jsonl", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert 12 < found["data"]["pool"].pop("tokens") < 19
    assert found["data"]["pool"] == {"rows": 60, "exact": True, "forms": {"alpaca": 60}, "unreadable": 0}
    params = load_params(tmp_path / "mine/params.yaml")
    assert (params.data.dev, params.data.test) == (None, None)


@pytest.mark.parametrize("form", ["plain", "chat"])
def test_tokens_of_a_record_are_about_those_that_it_is_tuned_on(form: str, tmp_path: Path, tiny_model: str) -> None:
    """By the model's tokenizer where it is at hand, with what the prompt form writes around a question and its response."""
    rows = [{"instruction": f"x = [{n}]; y = {{{n}: x}} # what is y?", "output": f"{{{n}: [{n}]}}"} for n in range(60)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    records = [record for record in read_split("pool.jsonl", AS_IT_STANDS, Reading()) if isinstance(record, Record)]
    encoder = Encoder(load_tokenizer(tiny_model, None), "plain", 4096, 8192)
    texts = [len(encoder.tokenizer(turn.text).input_ids) for record in records for turn in record.messages]
    found = look("pool.jsonl", AS_IT_STANDS, count=counter(tiny_model), form=form)
    assert found.tokens == pytest.approx(sum(texts) / 60 + FRAME[form], rel=0.02)
    assert found.tokens > 1.5 * look("pool.jsonl", AS_IT_STANDS, count=counter("some/where-else")).tokens
    if form == "plain":
        assert found.tokens == pytest.approx(token_lengths(encoder, records)["tokens_mean"], rel=0.25)


def test_of_long_responses_budget_and_ratings_are_in_tokens(tmp_path: Path) -> None:
    rows = [{"instruction": f"Tell of {n}.", "output": f"Once there were {n}, and so on. " * 10} for n in range(60)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert call("init", "long", "--pool", "pool.jsonl") == 0
    params = load_params(tmp_path / "long/params.yaml")
    assert (params.sample.budget, params.rate.per) == ("tokens", "token")
    write_rows(tmp_path / "short.jsonl", 60)
    assert call("init", "short", "--pool", "short.jsonl") == 0
    params = load_params(tmp_path / "short/params.yaml")
    assert (params.sample.budget, params.rate.per) == ("rows", "record")


def test_the_demo_has_the_packaged_data(tmp_path: Path) -> None:
    assert call("init", "demo", "--demo") == 0
    assert load_params(tmp_path / "demo/params.yaml").data.pool == "data/pool.yaml"
    assert (tmp_path / "demo/data/pool.yaml").is_file()


def test_in_a_repository_that_is_there_a_folder_becomes_a_project_and_nothing_is_committed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")
    write_rows(tmp_path / "pool.jsonl", 60)
    assert call("init", "part", "--pool", "pool.jsonl") == 0
    assert "Commit it" in capsys.readouterr().out
    assert (tmp_path / "part/.dvc/config").is_file()
    assert "part/dvc.yaml" in git(tmp_path, "status", "--short")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "mine"], "--pool FILE"),
        (["init", "mine", "--demo", "--pool", "pool.jsonl"], "--demo brings its own data"),
        (["init", "mine", "--pool", "nowhere.jsonl"], "--pool: nowhere.jsonl: no such file"),
        (["init", "mine", "--pool", "pool.jsonl", "--dev", "nowhere.jsonl"], "--dev: nowhere.jsonl: no such file"),
        (["init", "pool.jsonl", "--demo"], "is a file"),
        (["init", "mine", "--pool", "broken.jsonl"], "none of the first 2 rows can be read, the first: not valid JSON"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "pool.jsonl", 60)
    (tmp_path / "broken.jsonl").write_text("no JSON\nnone either\n", encoding="utf-8")
    assert call(*words) == 1
    assert said in capsys.readouterr().out
    assert not (tmp_path / "mine").exists()


def test_a_project_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("init", "mine", "--demo") == 0
    before = (tmp_path / "mine/params.yaml").read_bytes()
    assert call("init", "mine", "--demo") == 1
    assert "already" in capsys.readouterr().out
    assert (tmp_path / "mine/params.yaml").read_bytes() == before


def test_a_stage_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("stage", "nothing") == 1
    assert "there is no stage 'nothing'" in capsys.readouterr().out


def test_a_trial_is_small_whatever_the_pool_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = write_rows(tmp_path / "pool.jsonl", 3_000)
    assert call("init", "small", "--pool", str(pool), "--trial") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "its numbers say little" in said
    params = load_params(tmp_path / "small/params.yaml")
    assert params.data.pool_rows == 400
    assert (params.data.dev_rows, params.data.test_rows, params.score.dev_rows) == (40, 40, 20)
    assert (params.C, params.verdict.seeds, params.fidelity.target_coalitions) == (8, 3, None)
    assert call("init", "smaller", "--pool", str(write_rows(tmp_path / "few.jsonl", 60)), "--trial") == 0
    params = load_params(tmp_path / "smaller/params.yaml")
    assert (params.data.dev_rows, params.C) == (None, 4)  # a tenth of 60 rows is less than 40
    assert call("init", "shown", "--demo", "--trial") == 0
    assert load_params(tmp_path / "shown/params.yaml").data.dev_rows == 40


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("packaged/smollm2-135m", "did you mean 'packaged/smollm2-135m-instruct'?"),
        ("packaged/all-minilm-l6-v2", "no packaged language model"),
        ("./nowhere", "no such folder"),
        ("/nowhere/at-all", "no such folder"),
        ("a model of mine", "no such folder"),
        ("empty", "this folder holds no model"),
        ("pool.jsonl", "is a file"),
    ],
)
def test_a_model_that_cannot_be_is_refused_before_anything_is_written(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    pool = write_rows(tmp_path / "pool.jsonl", 60)
    assert call("init", "mine", "--pool", str(pool), "--model", name) == 1
    assert said in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ('{"q": "1?", "a": "1", "note": "x"}\n', ("prompt=q", "response=a"), "(as in --ignore KEY; --column names a column)"),
        ('{"q": "1?", "a": "1"}\n', ("prompt=nope",), "(as in --column prompt=my_question)"),
        ("\\x00\\xff\n", (), None),
    ],
    ids=["a key too many", "no such column", "nothing that an option mends"],
)
def test_an_error_names_the_option_that_mends_it_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, columns: tuple[str, ...], said: str | None
) -> None:
    (tmp_path / "pool.jsonl").write_text(text * 20, encoding="utf-8")
    named = [word for pair in columns for word in ("--column", pair)]
    assert call("init", str(tmp_path / "mine"), "--pool", str(tmp_path / "pool.jsonl"), *named) == 1
    error = capsys.readouterr().out
    assert error.startswith("shed: error: --pool: ")
    assert (said in error) if said else ("(as in --" not in error)
    assert not (tmp_path / "mine").exists()
