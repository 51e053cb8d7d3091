"""What params say reaches the values that the rooms below take, each under its own name."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from ruamel.yaml import YAML

from shed.params import Params, RegressionSettings, Score, load_params
from shed.settings.estimators import ESTIMATORS, SURROGATES
from shed.settings.models import embedder_spec, model_spec
from shed.settings.reading import reader_settings
from shed.settings.regime import scoring_regime
from shed.settings.selecting import sample_size
from shed.settings.tuning import tuning_settings
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.in_run import InRun
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter

OTHER: dict[str, Any] = {
    "regime": {
        "depth": 3, "r": 5, "alpha": 7, "modules": ["q_proj"], "optimizer": "sgd", "lr": 0.5, "momentum": 0.25, "batch_size": 3,
        "epochs": 9, "schedule": "constant", "warmup": 0.75,
    },
    "finetune": {
        "r": 4, "alpha": 6, "modules": ["v_proj"], "lr": 0.125, "warmup_ratio": 0.375, "batch_size": 2, "epochs": 8, "seed": 11,
    },
    "model": {"name": "me/model", "prompt": "chat", "max_tokens": 77},
    "embed": {"model": "me/embedder", "of": "both", "batch_size": 5},
}  # fmt: skip
READING = {"form": "columns", "columns": {"prompt": "q", "response": "a"}, "list_key": "rows", "ignore": ["x"]}


def read(project_root: Path, tmp_path: Path, **changes: dict[str, Any]) -> Params:
    """The project's params with other groups of these names."""
    raw = YAML(typ="safe", pure=True).load((project_root / "params.yaml").read_text(encoding="utf-8"))
    for group, values in changes.items():
        raw[group] |= values
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(raw, file)
    return load_params(tmp_path / "params.yaml")


def flat(settings: Any) -> dict[str, Any]:
    """The values of settings and of the LoRA settings in them."""
    own = asdict(settings)
    return own | own.pop("lora")


def test_tunings_have_all_that_their_groups_say(project_root: Path, tmp_path: Path) -> None:
    params = read(project_root, tmp_path, **OTHER)
    assert flat(scoring_regime(params.regime, 13)) == OTHER["regime"] | {"seed": 13}
    assert flat(tuning_settings(params.finetune, 12)) == OTHER["finetune"] | {"depth": None, "seed": 12}


def test_models_are_those_that_are_named_wherever_they_lie(project_root: Path, tmp_path: Path) -> None:
    params = read(project_root, tmp_path, **OTHER)
    model = {"name": "me/model", "form": "chat", "max_tokens": 77, "revision": "abc", "folder": None}
    assert asdict(model_spec(params.model, "abc")) == asdict(model_spec(params.model, "abc", "me/model")) == model
    assert asdict(model_spec(params.model, "abc", "there/model")) == model | {"folder": "there/model"}
    embedder = {"name": "me/embedder", "of": "both", "batch_size": 5, "revision": None}
    assert asdict(embedder_spec(params.embed, None)) == embedder
    assert asdict(embedder_spec(params.embed, None, "there/embedder")) == embedder | {"name": "there/embedder"}


def test_rows_are_read_as_the_group_says(project_root: Path, tmp_path: Path) -> None:
    reading = READING | {"train_on": "last", "max_row_mb": 2.5}
    params = read(project_root, tmp_path, data={"reading": reading})
    assert asdict(reader_settings(params.data.reading)) == reading


@pytest.mark.parametrize(
    ("sample", "amount", "unit"),
    [
        ({"fraction": 0.5}, 2, "rows"),
        ({"fraction": 0.5, "budget": "tokens"}, 50, "tokens"),
        ({"fraction": None, "rows": 3}, 3, "rows"),
        ({"fraction": None, "tokens": 31, "budget": "tokens"}, 31, "tokens"),
    ],
)
def test_a_selection_has_the_size_that_the_group_says(
    sample: dict[str, Any], amount: int, unit: str, project_root: Path, tmp_path: Path
) -> None:
    table = pd.DataFrame({"response_tokens": [10, 20, 30, 40]})
    size = sample_size(read(project_root, tmp_path, sample=sample).sample, table)
    assert (size.amount, size.unit) == (amount, unit)


def test_each_method_has_an_estimator_with_the_settings_of_its_group(project_root: Path, tmp_path: Path) -> None:
    assert set(ESTIMATORS) == set(get_args(Score.model_fields["method"].annotation))
    assert set(SURROGATES) == set(get_args(RegressionSettings.model_fields["surrogate"].annotation))
    groups = {
        "metagradient": {"weighting": "banzhaf", "redraw": False, "check_smoothness": True},
        "regression": {"weighting": "banzhaf", "surrogate": "metagradient", "check_smoothness": True},
        "removal": {"n": 2, "k": 5},
    }
    score = read(
        project_root, tmp_path, score={**groups, "seed": 21, "budget": {"evaluations": 99, "fte": 3.0, "minutes": None}}
    )
    surrogate = Metagradient(21, check=True)
    assert {name: make(score.score) for name, make in ESTIMATORS.items()} == {
        "metagradient": Metagradient(21, check=True, weighting="banzhaf", redraw=False),
        "in_run": InRun(),
        "regression": Regression(21, "banzhaf", surrogate),
        "permutation": Permutation(21),
        "removal": Removal(n=2, k=5, seed=21),
        "exact": Exact(),
        "shapiq": ShapiqAdapter("KernelSHAP", 99, 21),
    }
    assert SURROGATES["none"](score.score) is None
    assert SURROGATES["in_run"](score.score) == InRun()
