"""The stages `quality` and `sample`: swapped responses are found, and left out where params ask for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from shed.common.atomic_io import read_json, write_json, write_jsonl, write_table
from shed.data.records import Record, single_turn
from shed.params import Params, load_params
from shed.selection.quality import of_records
from stages import main, quality, sample
from stages.shared.left_out import read_left_out

ROWS, SWAPPED = 60, range(0, 16, 2)  # each of these responses stands at the record after it
Changes = dict[str, Any]
ON: Changes = {"quality": {"prompt_fit": True}}
LEAST = 0.9
ASKED: Changes = {**ON, "sample": {"exclude": {"prompt_fit": LEAST}}}


def pool() -> list[Record]:
    """Each response says its prompt's words again, but for the swapped ones."""
    texts = [" ".join(f"w{(7 * n + k) % 300}" for k in range(4)) for n in range(ROWS)]
    answers = list(texts)
    for n in SWAPPED:
        answers[n], answers[n + 1] = answers[n + 1], answers[n]
    return [single_turn(text, answer, "web", f"row {n}") for n, (text, answer) in enumerate(zip(texts, answers, strict=True))]


IDS = [record.id for record in pool()]
WRONG = {IDS[n + k] for n in SWAPPED for k in (0, 1)}


def set_params(root: Path, tiny_embedder: str, changes: Changes) -> None:
    yaml = YAML()
    settings = yaml.load((root / "params.yaml").read_text(encoding="utf-8"))
    settings["embed"]["model"] = tiny_embedder
    settings["sample"] |= {"rows": 12, "fraction": None}
    for section, own in changes.items():
        settings[section] = {**settings[section], **own} if isinstance(own, dict) else own
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)


@pytest.fixture
def run(project_root: Path, tiny_embedder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run both stages with changed params, in a project where all that they read is done; swapped records are rated best."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quality, "KEPT", tmp_path / ".shed/embeddings")
    write_jsonl("data/prepared/pool.jsonl", [record.to_row() for record in pool()])
    write_table("data/prepared/faults.csv", pd.DataFrame({"id": [], "fault": []}))
    write_json("data/embedder.json", {"name": tiny_embedder})
    clusters = pd.DataFrame({"id": IDS, "source": "web", "cluster": [n % 2 for n in range(ROWS)], "distance": 0.5})
    write_table("data/clusters.parquet", clusters)
    write_table("data/scores.parquet", pd.DataFrame({"cluster": [0, 1], "score": [0.1, 0.2], "rank": [2, 1]}))
    write_table("data/ratings.parquet", pd.DataFrame({"id": IDS, "rating": np.linspace(1, 0, ROWS)}))
    lengths = pd.DataFrame({"id": IDS, "tokens": 9, "response_tokens": 4, "too_long": [n == ROWS - 1 for n in range(ROWS)]})
    write_table("data/lengths.parquet", lengths)

    def both(changes: Changes) -> list[str]:
        set_params(project_root, tiny_embedder, changes)
        main(quality.run)
        main(sample.run)
        return pd.read_parquet("data/selection.parquet")["id"].tolist()

    return both


def fits() -> pd.Series:
    return pd.read_parquet("data/quality.parquet").set_index("id")["prompt_fit"]


def test_off_nothing_is_judged_and_the_selection_is_that_of_a_project_without_fits(run: Any) -> None:
    selected = run({})
    table = pd.read_parquet("data/quality.parquet")
    assert len(table) == 0
    assert read_json("metrics/quality.json") == {"judged": 0}
    assert selected == IDS[:12]
    assert read_json("metrics/sample.json")["left_out_by_prompt_fit"] == 0
    without = Path("data/selection.parquet").read_bytes()
    assert run(ON) == selected
    assert pd.read_parquet("data/quality.parquet").dtypes.to_dict() == table.dtypes.to_dict()
    assert Path("data/selection.parquet").read_bytes() == without, "fits alone change nothing"


def test_top_no_longer_takes_records_whose_responses_were_swapped(run: Any) -> None:
    taken = run(ON)
    assert len(WRONG & set(taken)) == 12
    selected, own = run(ASKED), fits()
    assert own.index.tolist() == IDS
    low = own[own < LEAST]
    assert len(WRONG & set(low.index)) > 0.8 * len(WRONG)
    assert len(set(low.index) - WRONG) < 0.2 * (ROWS - len(WRONG))
    assert not set(selected) & set(low.index)
    assert selected == [id for id in IDS if own[id] >= LEAST][:12]
    found = read_json("metrics/sample.json")
    assert found["left_out_as_too_long"] == 1
    assert found["left_out_by_prompt_fit"] == len(low.drop(IDS[-1], errors="ignore"))
    told = read_json("metrics/quality.json")
    assert told["judged"] == ROWS
    assert told["share_below_a_half"] == pytest.approx((own < 0.5).mean(), abs=1e-6)
    assert len(WRONG & set(selected)) < 3


@pytest.mark.parametrize("sampler", ["qocs", "qwcs", "random", "given", "full"])
def test_every_sampler_but_full_keeps_to_the_threshold(run: Any, sampler: str) -> None:
    Path("peer.txt").write_text("".join(f"{id}\n" for id in IDS), encoding="utf-8")
    own = {"sampler": sampler, **ASKED, "sample": {**ASKED["sample"], "given": "peer.txt"}}
    selected = set(run(own))
    low = set(fits()[fits() < LEAST].index)
    left_out = read_json("metrics/sample.json")["left_out_by_prompt_fit"]
    assert (selected == set(IDS), left_out == 0) == ((True, True) if sampler == "full" else (False, False))
    assert not selected & low or sampler == "full"


def test_controls_of_the_verdict_are_drawn_from_the_same_rows(run: Any) -> None:
    run(ASKED)
    params: Params = load_params("params.yaml")
    allowed = read_left_out(params.sample, pd.read_parquet("data/lengths.parquet")).isna()
    assert {id for id in IDS if allowed[id]} == {id for id in IDS[:-1] if fits()[id] >= LEAST}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"exclude": {"prompt_fit": 1.0}, "rows": 1, "fraction": None},
            "shed: error: none of the 60 records of the pool is left: 1 are longer than the context, and the other 59 have a "
            "prompt fit below 1.0; ask for a lower one (sample.exclude.prompt_fit in params.yaml)",
        ),
        (
            {"exclude": {"prompt_fit": 0.5}, "rows": 59, "fraction": None},
            "shed: error: 59 rows are to be kept, but the pool has ",
        ),
    ],
)
def test_too_few_that_fit_are_refused_in_one_line(
    run: Any, monkeypatch: pytest.MonkeyPatch, changes: Changes, said: str
) -> None:
    if changes["exclude"]["prompt_fit"] == 1.0:
        monkeypatch.setattr(quality, "prompt_fit_of", lambda records, *_: np.full(len(records), 0.9))
    with pytest.raises(SystemExit) as ended:
        run({**ON, "sample": changes})
    assert str(ended.value).startswith(said)
    assert "\n" not in str(ended.value)


def test_a_stage_that_was_killed_goes_on_and_leaves_no_vectors(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(ON)
    whole, embed_to, parts = Path("data/quality.parquet").read_bytes(), of_records.embed_to, list[str]()

    def killed(path: Path, records: Any, spec: Any, *about: Any) -> Any:
        parts.append(spec.of)
        if parts == ["prompt", "response"]:
            raise KeyboardInterrupt
        return embed_to(path, records, spec, *about)

    monkeypatch.setattr(of_records, "embed_to", killed)
    with pytest.raises(SystemExit, match="interrupted"):
        main(quality.run)
    assert len(list(Path(".shed/embeddings").glob("prompt-*.npy"))) == 1
    assert Path("data/quality.parquet").read_bytes() == whole, "what was there stays until there is something new"
    Path("data/quality.parquet").unlink()
    main(quality.run)
    assert parts == ["prompt", "response", "response"]
    assert Path("data/quality.parquet").read_bytes() == whole
    assert list(Path(".shed/embeddings").iterdir()) == []


def test_no_seconds_are_in_the_metrics(run: Any) -> None:
    """A rerun changes nothing in git."""
    run(ON)
    first = Path("metrics/quality.json").read_text(encoding="utf-8")
    run(ON)
    assert Path("metrics/quality.json").read_text(encoding="utf-8") == first
    assert set(json.loads(first)) == {"judged", *(f"share_below_{name}" for name in of_records.BELOW)}
