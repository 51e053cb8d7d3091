"""A stage that is run by hand says what is missing, and where the setting stands that would mend an error."""

import ast
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from shed.common.atomic_io import write_json
from shed.common.errors import DivergenceError, ShedError
from shed.data.readers import BadRecord
from shed.params import Params, describe, load_params
from stages import FINAL_TUNING, KEYS, fidelity, main, naming_keys, prepare, sample
from stages.shared.paths import located

ROOT = Path(__file__).parents[2]
NAMED_LIKE_PARAMS = ROOT / "shed/library/settings.py"  # a Selector's settings have the names of params
LIBRARY = sorted(set((ROOT / "shed").rglob("*.py")) - {NAMED_LIKE_PARAMS})
LIBRARY = [path for path in LIBRARY if not {"params", "cli"} & set(path.parts)]
SETTINGS_OF = {
    "error.setting": set(),  # of an error that is told again
    "reply.setting": set(),  # of an error of a worker
    "SETTINGS[kind]": {"model", "embedder"},
    "setting": {"model", "embedder"},
    "mended_by": {"records of pool", "max rejects", "context length", "prompt form", "turns to train on"},
    "f'learning rate of the {regime} regime'": {f"learning rate of the {regime} regime" for regime in ("scoring", "target")},
    "unit": {"rows", "tokens"},
    "size.unit": {"rows", "tokens"},
    "f'records of {split}'": {f"records of {split}" for split in ("pool", "dev", "test")},
    "f'rows of {split}'": {"rows of dev", "rows of test"},
}
PARAMS = {line.name for line in describe(load_params(ROOT / "params.yaml"))}
SECTIONS = {name.rpartition(".")[0] for name in PARAMS}


@pytest.fixture
def folder(project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with params and nothing else."""
    shutil.copy(project_root / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_missing_input_is_one_line(folder: Path) -> None:
    with pytest.raises(SystemExit, match=r"^shed: error: data/clusters\.parquet: no such file; an earlier stage makes it"):
        main(sample.run)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ShedError("no layers named w_proj", "LoRA modules"), "no layers named w_proj (regime.modules in params.yaml)"),
        (DivergenceError("it diverged"), "it diverged; lower the learning rate (regime.lr in params.yaml)"),
        (ShedError("line 3: not valid JSON"), "line 3: not valid JSON"),
        (
            ShedError("no column 'q'", "columns"),  # which a recipe may set for one source alone
            "no column 'q' (data.reading.columns in params.yaml, which holds for pool, dev and test alike; "
            "else `columns` of a source in a recipe)",
        ),
        (ShedError("too hot", "weather"), "too hot"),
    ],
)
def test_an_error_is_printed_with_the_key_of_its_setting(folder: Path, error: ShedError, said: str) -> None:
    def stage(params: Params) -> None:
        raise error

    with pytest.raises(SystemExit, match=f"^shed: error: {re.escape(said)}$"):
        main(stage)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("learning rate", "no (finetune.lr in params.yaml)"),
        ("LoRA modules", "no (finetune.modules in params.yaml)"),
        ("LoRA depth", "no (regime.depth in params.yaml)"),  # which the inner block does not know
    ],
)
def test_the_innermost_block_that_knows_the_setting_names_its_key(folder: Path, setting: str, said: str) -> None:
    def stage(params: Params) -> None:
        with naming_keys(FINAL_TUNING):
            raise ShedError("no", setting)

    with pytest.raises(SystemExit, match=f"^shed: error: {re.escape(said)}$"):
        main(stage)


def test_an_error_in_the_target_regime_names_the_keys_of_the_final_tuning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def game_of(*_: object) -> None:
        raise ShedError("the model has no linear layers named w_proj", "LoRA modules")

    monkeypatch.setattr(fidelity, "game_of", game_of)

    def stage(params: Params) -> None:
        with fidelity.target_game(params, pd.DataFrame(), seed=1):
            pass

    with pytest.raises(SystemExit, match=r"w_proj \(finetune\.modules in params\.yaml\)$"):
        main(stage)


def test_a_row_that_a_setting_would_mend_names_its_key_in_full() -> None:
    bad = BadRecord("a.jsonl, line 1", "a", "the key 'hint' is not used; ignore it", "", "ignored keys")
    (named,) = prepare._with_keys([bad])
    assert isinstance(named, BadRecord)
    assert named.reason == (
        "the key 'hint' is not used; ignore it (data.reading.ignore, or `ignore` of the source in a recipe)"
    )


def test_rejects_of_another_run_do_not_outlive_a_run_that_stops_before_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_model(*_: object) -> None:
        raise ShedError("no such model", "model")

    rejects = folder / "data/prepared/rejects.jsonl"
    rejects.parent.mkdir(parents=True)
    rejects.write_text('{"reason": "of another run"}')
    monkeypatch.setattr(prepare, "model_spec", lambda params: None)
    monkeypatch.setattr(prepare, "check_model", check_model)
    with pytest.raises(SystemExit, match="no such model"):
        main(prepare.run)
    assert not rejects.exists()


def test_a_run_that_stops_says_which_results_are_of_an_earlier_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC leaves them in place, so that nothing is lost."""

    def check_model(*_: object) -> None:
        write_json("metrics/data.json", {})  # as if the run had come as far as this
        raise ShedError("no such model", "model")

    for name in ("data/prepared/pool.jsonl", "metrics/data.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
        os.utime(folder / name, (1, 1))
    monkeypatch.setattr(prepare, "model_spec", lambda params: None)
    monkeypatch.setattr(prepare, "check_model", check_model)
    with pytest.raises(SystemExit, match="no such model"):
        main(prepare.run)
    assert capsys.readouterr().err == "shed: still of an earlier run: data/prepared/pool.jsonl\n"


def settings_of_errors() -> Iterator[str]:
    """The setting of every error that the library raises, as it is written in the code."""
    for path in LIBRARY:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).split(".")[-1]
            if name == "DivergenceError":
                yield "learning rate"
            elif name in {"ShedError", "SetAside"}:
                given = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "setting")]
                for setting in given:
                    if isinstance(setting, ast.Constant):
                        yield str(setting.value)
                    else:
                        yield from SETTINGS_OF[ast.unparse(setting)]


def test_every_setting_that_an_error_names_has_a_key_and_every_key_is_a_param() -> None:
    assert str(DivergenceError("x").setting) == "learning rate"
    assert set(settings_of_errors()) == set(KEYS)
    assert set(FINAL_TUNING) <= set(KEYS)
    assert {*KEYS.values(), *FINAL_TUNING.values()} <= PARAMS | SECTIONS


def texts(path: Path) -> Iterator[str]:
    """The string constants of a file, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {id(node.body[0].value) for node in nodes if node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_no_text_of_the_library_names_a_key_of_the_params() -> None:
    sections = {".".join(parts[:end]) for name in PARAMS for parts in [name.split(".")] for end in range(2, len(parts) + 1)}
    assert {"score.removal", "score.removal.n", "regime.lr", "sample.rows", "data.faults.share"} <= sections
    key = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, sections))})\b")
    assert key.search("lower regime.lr, or")
    found = {f"{path.relative_to(ROOT)}: {text}" for path in LIBRARY for text in texts(path) if key.search(text)}
    assert found == set()


def test_what_a_copy_of_the_project_lacks_is_found_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, copy = tmp_path / "project", tmp_path / "project/.dvc/tmp/exps/copy"
    for path in (
        project / "rows/a.jsonl",
        project / "rows/deep/b.jsonl",
        project / "pool.jsonl",
        project / "models/mine/config.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    copy.mkdir(parents=True)
    (copy / "pool.jsonl").touch()
    monkeypatch.chdir(copy)
    elsewhere = [
        "~/rows",
        "hf://datasets/me/rows@0",
        str(project / "pool.jsonl"),
        "/no/such/file",
        "someone/a-model",
        "no/*.jsonl",
    ]
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert [located(where) for where in ("rows", "pool.jsonl", *elsewhere)] == ["rows", "pool.jsonl", *elsewhere]
    monkeypatch.setenv("DVC_ROOT", str(project))
    assert located("pool.jsonl") == "pool.jsonl"  # what is here comes first
    assert [located(where) for where in elsewhere] == elsewhere
    for where in ("rows", "rows/a.jsonl", "rows/*.jsonl", "**/b.jsonl", "models/mine"):
        assert located(where) == f"{project}/{where}"
    shutil.copytree(project / "rows", copy / "rows")
    assert located("**/b.jsonl") == "**/b.jsonl"
