"""The ledger of runs: a run is made once for all that ask for the same, and whatever changes it makes another."""

import os
import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from soaking import times

from shed.data.records import Record, single_turn
from shed.evaluation import run_ledger
from shed.evaluation.generation import Writing
from shed.evaluation.run_ledger import RunLedger, RunSettings
from shed.models.specs import LoraSettings, ModelSpec
from shed.tuning.finetuning import TuningSettings


@pytest.fixture
def settings(records: list[Record]) -> RunSettings:
    return RunSettings(
        model=ModelSpec("a model", "plain", 64),
        manifest={"sha256": "0"},
        tuning=TuningSettings(LoraSettings(2, 4, ["q_proj"]), 0.01, 0.1, 4, 1, seed=3),
        splits={"test": records[3:6]},
        limit=80,
        batch_size=4,
        tasks=[],
        writing=Writing(20, 64),
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each run that is really made is tuned and evaluated on."""
    found: list[dict[str, Any]] = []

    def finetune(rows: Sequence[Record], model: ModelSpec, tuning: TuningSettings, adapter: Path, about: str) -> None:
        adapter.mkdir()
        (adapter / "tuned.txt").write_text(f"{[record.id for record in rows]} {tuning.seed} {tuning.lr}")

    def evaluate(
        model: ModelSpec,
        adapter: Path | None,
        splits: Mapping[str, Sequence[Record]],
        limit: int | None,
        batch_size: int,
        tasks: Sequence[str],
        writing: Writing | None,
    ) -> pd.DataFrame:
        tuned = (adapter / "tuned.txt").read_text() if adapter else None
        found.append(
            {"tuned": tuned, "splits": {split: len(own) for split, own in splits.items()}, "limit": limit, "writing": writing}
        )
        return pd.DataFrame({"task": ["test_a"], "id": ["1"], "nats": [float(len(found))]})

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    return found


def test_a_run_is_made_once_for_all_that_ask_for_the_same(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path
) -> None:
    ledger = RunLedger(tmp_path / "runs", settings)
    assert not ledger.has(records[:3], 7)
    first = ledger.items(records[:3], 7)
    tuned = f"{[record.id for record in records[:3]]} 7 0.01"
    assert made == [{"tuned": tuned, "splits": {"test": 3}, "limit": 80, "writing": Writing(20, 64)}]
    assert ledger.has(records[:3], 7)
    pd.testing.assert_frame_equal(RunLedger(tmp_path / "runs", settings).items(records[:3], 7), first)
    assert len(made) == 1


def test_a_tuning_that_was_made_elsewhere_is_evaluated_and_kept_for_all_who_ask(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/tuned.txt").write_text("elsewhere")
    ledger = RunLedger(tmp_path / "runs", settings)
    first = ledger.items(records[:3], 7, tuned=tmp_path / "adapter")
    assert [run["tuned"] for run in made] == ["elsewhere"]
    pd.testing.assert_frame_equal(ledger.items(records[:3], 7), first)
    assert len(made) == 1


def test_what_does_not_change_a_run_finds_it(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path
) -> None:
    RunLedger(tmp_path, settings).items(records[:3], 7)
    same = [
        replace(settings, tuning=replace(settings.tuning, seed=9)),  # the seed is that of the run
        replace(settings, model=replace(settings.model, folder="/project/a model")),  # as a copy of the project finds it
    ]
    assert all(RunLedger(tmp_path, own).has(records[:3], 7) for own in same)
    moved = [replace(record, source="elsewhere", origin="line 9") for record in records[:3]]
    assert RunLedger(tmp_path, settings).has(moved, 7)


def test_whatever_changes_a_run_makes_another(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path
) -> None:
    rows, test = records[:3], records[3:6]
    edited = single_turn("which of the two", "neither", "counting", "test 0")
    other_answer = replace(test[0], choices=test[0].choices[::-1], answer=1)
    asked: list[tuple[RunSettings, Sequence[Record], int]] = [
        (settings, rows, 7),
        (settings, rows, 8),
        (settings, [], 7),
        (settings, rows[:2], 7),
        (settings, rows[::-1], 7),
        (settings, [edited, *rows[1:]], 7),
        *(
            (replace(settings, **change), rows, 7)
            for change in (
                {"model": ModelSpec("another model", "plain", 64)},
                {"model": ModelSpec("a model", "chat", 64)},
                {"model": ModelSpec("a model", "plain", 32)},
                {"model": ModelSpec("a model", "plain", 64, "a" * 40)},
                {"manifest": {"sha256": "1"}},
                {"tuning": replace(settings.tuning, lr=0.5)},
                {"tuning": replace(settings.tuning, lora=LoraSettings(2, 4, ["v_proj"]))},
                {"tuning": replace(settings.tuning, epochs=2)},
                {"splits": {"dev": test}},
                {"splits": {"test": test[:2]}},
                {"splits": {"test": [replace(test[0], source="elsewhere"), *test[1:]]}},  # another task
                {"splits": {"test": [other_answer, *test[1:]]}},
                {"limit": 2},
                {"limit": None},
                {"batch_size": 1},
                {"tasks": ["a task"]},
            )
        ),
    ]
    for _ in range(2):
        for own, of, seed in asked:
            RunLedger(tmp_path, own).items(of, seed)
    assert len(made) == len(asked) == len(list(tmp_path.iterdir()))


def test_how_answers_are_written_makes_another_run_only_where_some_are(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path
) -> None:
    with_options = RunLedger(tmp_path, settings)
    with_options.items(records[:3], 7)
    others = [Writing(20, 8), Writing(None, 64), Writing(0, 64), None]
    assert all(RunLedger(tmp_path, replace(settings, writing=one)).has(records[:3], 7) for one in others)
    free = [*records[3:6], replace(records[6], choices=(), answer=None)]
    asked = [replace(settings, splits={"test": free}, writing=one) for one in (Writing(20, 64), *others)]
    for one in asked:
        RunLedger(tmp_path, one).items(records[:3], 7)
    assert len(made) == 1 + 4  # none are written by the last two


def test_untuned_models_are_one_run_whatever_the_tuning_and_the_seed(
    settings: RunSettings, made: list[dict[str, Any]], tmp_path: Path
) -> None:
    RunLedger(tmp_path, settings).items([], 7)
    assert made[0]["tuned"] is None
    assert RunLedger(tmp_path, replace(settings, tuning=replace(settings.tuning, lr=0.5))).has([], 8)


def test_no_bit_that_flips_in_a_kept_run_gives_another_number(
    settings: RunSettings,
    records: list[Record],
    made: list[dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw = random.Random(5)
    ledger = RunLedger(tmp_path, settings)
    ledger.items([], 7)
    flips = times(40, "kept runs of which one bit was flipped")
    for n in range(flips):
        (path,) = tmp_path.glob("*.parquet")
        content = bytearray(path.read_bytes())
        at = draw.randrange(8 * len(content))
        content[at // 8] ^= 1 << at % 8
        path.write_bytes(content)
        assert not ledger.has([], 7)
        assert path.exists()  # whoever only asks changes nothing
        assert ledger.items([], 7)["nats"].tolist() == [n + 2.0]  # it was made again
        assert ledger.items([], 7)["nats"].tolist() == [n + 2.0]
        assert capsys.readouterr().err.count("\n") == 1
    assert len(list(tmp_path.glob("*.damaged-*"))) == flips


def test_a_run_without_a_digest_is_made_again(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path
) -> None:
    ledger = RunLedger(tmp_path, settings)
    ledger.items([], 7)
    (path,) = tmp_path.glob("*.parquet")
    path.rename(path.with_name(f"{path.name[:16]}.parquet"))  # as an older shed kept it
    assert not ledger.has([], 7)
    ledger.items([], 7)
    assert len(made) == 2


def test_another_text_of_a_task_makes_another_run(
    settings: RunSettings, made: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, named = tmp_path / "own", tmp_path / "named.yaml"
    own.mkdir()
    monkeypatch.setattr(run_ledger, "TASK_FILES", own)
    ledger = RunLedger(tmp_path / "runs", replace(settings, tasks=[str(named)]))
    for texts in (("one", "one"), ("two", "one"), ("two", "two"), ("one", "one")):
        for file, text in zip((own / "choice.yaml", named), texts, strict=True):
            file.write_text(text)
        ledger.items([], 0)
    assert len(made) == 3


def test_another_code_makes_another_run(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = RunLedger(tmp_path, settings)
    ledger.items(records, 0)
    monkeypatch.setattr(run_ledger, "code_digest", lambda *modules: f"as edited: {modules}")
    assert not ledger.has(records, 0)


def test_a_run_that_is_interrupted_leaves_nothing_and_is_made_again(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = RunLedger(tmp_path / "runs", settings)
    evaluate = run_ledger.evaluate

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_ledger, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.items(records, 1)
    assert not (tmp_path / "runs").exists()
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    ledger.items(records, 1)
    assert ledger.has(records, 1)


def test_a_run_that_is_killed_while_it_is_written_is_not_there(
    settings: RunSettings, records: list[Record], made: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(table: pd.DataFrame, path: Path, **_: Any) -> None:
        path.write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)

    ledger = RunLedger(tmp_path, settings)
    child = os.fork()
    if not child:
        monkeypatch.setattr(pd.DataFrame, "to_parquet", killed)
        try:
            ledger.items(records, 1)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not ledger.has(records, 1)
    assert not list(tmp_path.glob("*.parquet"))
    ledger.items(records, 1)
    assert ledger.items(records, 1)["nats"].tolist() == [1.0]
    assert len(made) == 1
