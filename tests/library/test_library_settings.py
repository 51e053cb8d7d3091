"""Settings of a `Selector`: the defaults of a new project, a params file, and changes by name; each fault is one line."""

import re
from pathlib import Path
from typing import Any

import pytest

from shed.common.errors import ShedError
from shed.library.settings import ALL_ROWS, DEFAULTS, NOT_USED, changed, read_settings
from shed.params import load_params


def test_without_changes_they_are_those_of_a_new_project_with_all_rows() -> None:
    assert read_settings(None, {}) == changed(load_params(DEFAULTS), [ALL_ROWS])
    assert read_settings(None, {}).data.pool_rows is None
    assert read_settings(DEFAULTS, {}) == load_params(DEFAULTS)  # a file's own numbers of rows stay
    assert read_settings(DEFAULTS, {}).data.pool_rows == 2000


@pytest.mark.parametrize(
    "changes",
    [
        {"sample.rows": 50, "sample.fraction": None, "score.budget.fte": 3.5},
        {"sample": {"rows": 50, "fraction": None}, "score": {"budget": {"fte": 3.5}}},
        {"sample": {"rows": 50, "fraction": None}, "score.budget": {"fte": 3.5}},
        {"sample": {"rows": 50, "fraction": None}, "score": {"budget.fte": 3.5}},
    ],
)
def test_a_setting_may_be_named_with_a_point_or_in_its_section(changes: dict[str, Any]) -> None:
    found = read_settings(None, changes)
    assert (found.sample.rows, found.sample.fraction, found.score.budget.fte) == (50, None, 3.5)
    assert found.sample.f == read_settings(None, {}).sample.f


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"rows": 50}, ("rows", None, 50, None)),
        ({"tokens": 900}, ("tokens", None, None, 900)),
        ({"fraction": 0.5}, ("rows", 0.5, None, None)),
        ({"fraction": 0.5, "budget": "tokens"}, ("tokens", 0.5, None, None)),
        ({"rows": 50, "fraction": None}, ("rows", None, 50, None)),
        ({}, ("rows", 0.1, None, None)),
    ],
)
def test_a_size_takes_the_place_of_the_one_that_was_set(asked: dict[str, Any], found: tuple[Any, ...]) -> None:
    for base in (None, DEFAULTS):
        own = read_settings(base, {"sample": asked}).sample
        assert (own.budget, own.fraction, own.rows, own.tokens) == found


def test_settings_of_a_project_with_dev_tasks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    tasks = "{maths: {from: maths.jsonl, weight: 2}, chat: {from: 'lm_eval:chat', weight: 1}}"
    text = re.sub(r"(?m)^  dev: .*$", f"  dev: {tasks}", DEFAULTS.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    assert read_settings(path, {"sample.rows": 9}).data.dev == load_params(path).data.dev != load_params(DEFAULTS).data.dev


def test_a_value_that_is_a_mapping_itself_is_taken_whole() -> None:
    first = read_settings(None, {"data": {"reading": {"columns": {"prompt": "q", "response": "a"}}}})
    assert changed(first, [{"data.reading.columns": {"prompt": "ask", "response": "say"}}]).data.reading.columns == {
        "prompt": "ask",
        "response": "say",
    }


def test_values_survive_as_they_are() -> None:
    found = changed(load_params(DEFAULTS), [{"regime.lr": 1e-05, "model.name": "yes", "sample.f": 0.1}])
    assert (found.regime.lr, found.model.name, found.sample.f) == (1e-05, "yes", 0.1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate.warm_row": 9}, "unknown key 'rate.warm_row' with value 9; did you mean 'warm_rows'? allowed here: utility, "),
        ({"samplr": "top"}, "Selector has no setting 'samplr'; did you mean 'sampler'? it has C, sampler, data, model, "),
        ({"smple": {"rows": 3}}, "Selector has no setting 'smple'; did you mean 'sample'?"),
        ({"c": 8}, "Selector has no setting 'c'; did you mean 'C'? it has "),
        ({"fodler": "kept"}, "Selector has no setting 'fodler'; did you mean 'folder'?"),
        ({"rows": 3}, "Selector has no setting 'rows'; did you mean 'sample.rows'?"),
        ({"lr": 0.1}, "Selector has no setting 'lr'; did you mean 'regime.lr' or 'finetune.lr'?"),
        ({"quite.else": [{"many": "rows"}] * 9}, "Selector has no setting 'quite'; it has C, sampler, "),
        ({"Rate.warm_rows": 9}, "Selector has no setting 'Rate'; did you mean 'rate'?"),
        ({"rate.Warm_rows": 9}, "unknown key 'rate.Warm_rows' with value 9; did you mean 'warm_rows'?"),
        ({"C": "8"}, "C is '8'; it must be a valid integer"),
        ({"C.x": 1}, "C is {'x': 1}; it must be a valid integer"),
        ({"sample": 5}, "sample is 5; it must "),
        ({"sample": {"rows": 3, "tokens": 4}}, "set exactly one of sample.fraction, sample.rows and sample.tokens"),
        ({"sample": {"rows": 3, "budget": "tokens"}}, "sample.budget is tokens, but sample.rows is set"),
        ({"model": {"name": Path("a")}}, "a setting is no text, number, list or mapping of these: "),
        ({"data": {"pool": "my_pool.jsonl"}}, "data.pool is 'my_pool.jsonl', which only the pipeline uses; leave it out"),
        ({"data.faults.share": 0.5}, "data.faults.share is 0.5, which only the pipeline uses"),
        ({"export": {"merged": True}}, "export.merged is True, which only the pipeline uses"),
    ],
)
def test_a_wrong_setting_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ShedError) as error:
        read_settings(None, changes)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_params_file_that_damages_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(DEFAULTS.read_text(encoding="utf-8").replace("share: 0.0", "share: 0.5"), encoding="utf-8")
    with pytest.raises(ShedError, match="asks for damaged records, which only the pipeline makes"):
        read_settings(path, {})
    with pytest.raises(ShedError, match="no such file"):
        read_settings(tmp_path / "none.yaml", {})


def test_what_is_not_used_are_settings() -> None:
    whole = load_params(DEFAULTS).model_dump()
    assert set(NOT_USED) <= set(whole)
    assert all(name in whole[section] for section, names in NOT_USED.items() for name in names)
