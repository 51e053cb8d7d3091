"""A selection from elsewhere goes through the stages that read it, without a model."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from shed.common.atomic_io import read_json, write_jsonl, write_table
from shed.data.records import single_turn
from stages import fetch, main, sample

POOL = [single_turn(f"Add {n} and 1.", f"It is {n + 1}.", "sums", f"mine.jsonl, line {n + 1}") for n in range(10)]
IDS = [record.id for record in POOL]


@pytest.fixture
def folder(project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which everything before the stage `sample` is done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetch, "_keep", lambda *_: None)  # models, which are none of this story
    given(project_root / "params.yaml", "peer.csv")
    write_jsonl("mine.jsonl", [{"prompt": record.prompt, "response": record.response} for record in POOL])
    write_jsonl("data/prepared/pool.jsonl", [record.to_row() for record in POOL])
    write_table("data/prepared/faults.csv", pd.DataFrame({"id": [], "fault": []}))
    clusters = pd.DataFrame({"id": IDS, "source": "sums", "cluster": [n % 2 for n in range(10)], "distance": 0.5})
    write_table("data/clusters.parquet", clusters)
    write_table("data/scores.parquet", pd.DataFrame({"cluster": [0, 1], "score": [0.1, 0.2], "rank": [2, 1]}))
    write_table("data/ratings.parquet", pd.DataFrame({"id": IDS, "rating": 0.0}))
    lengths = pd.DataFrame({"id": IDS, "tokens": 9, "response_tokens": 4, "too_long": [n == 4 for n in range(10)]})
    write_table("data/lengths.parquet", lengths)
    return tmp_path


def given(params: Path, where: str | None, sampler: str = "given", rows: int = 3) -> None:
    """Params for the file; all splits are one, which only `fetch` reads here."""
    yaml = YAML()
    settings = yaml.load(params.read_text(encoding="utf-8"))
    settings["sampler"] = sampler
    settings["sample"] |= {"given": where, "rows": rows, "fraction": None}
    settings["data"] |= dict.fromkeys(("pool", "dev", "test"), "mine.jsonl")
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)


def test_scores_of_a_peer_become_the_selection(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "peer.csv").write_text("id,score\n" + "".join(f"{id},{n % 7}\n" for n, id in enumerate([*IDS, "x", IDS[0]])))
    main(fetch.run)
    main(sample.run)
    assert "shed: peer.csv: 12 scores by id (column 'score'); matched with the pool: 10" in capsys.readouterr().err
    selection = pd.read_parquet("data/selection.parquet")
    assert selection.columns.tolist() == ["id", "source", "cluster", "score", "reason"]
    assert selection["id"].tolist() == [IDS[6], IDS[5], IDS[0]]  # IDS[4] is longer than the context
    assert selection["reason"].tolist() == [f"given, scored {rank} of 10, {score}" for rank, score in ((1, 6), (2, 5), (4, 4))]
    lines = [json.loads(line) for line in Path("data/selection.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["messages"][0]["content"] for line in lines] == ["Add 6 and 1.", "Add 5 and 1.", "Add 0 and 1."]
    counts = {"given_rows": 12, "given_matched": 10, "given_unmatched": 1, "given_repeated": 1}
    metrics = read_json("metrics/sample.json")
    assert {name: metrics[name] for name in counts} == counts
    assert metrics["rows"] == 3
    assert metrics["left_out_as_too_long"] == 1
    assert metrics["lengths"]["response_tokens"] == 12


def test_what_bergson_wrote_becomes_the_selection_as_it_is(project_root: Path, folder: Path) -> None:
    """It scored ten such records by what they do for numbers 6 and 7; see tests/data/formats/test_bergson_scores.py."""
    shutil.copytree(project_root / "tests/data/formats/bergson/mean", folder / "scores")
    given(folder / "params.yaml", "scores/scores.bin")
    main(fetch.run)
    main(sample.run)
    selection = pd.read_parquet("data/selection.parquet")
    assert selection["id"].tolist() == [IDS[7], IDS[6], IDS[8]]
    assert selection["reason"].tolist()[0] == "given, scored 1 of 10, 0.921"
    before = (folder / "data/given.json").read_bytes()
    config = folder / "scores/config.yaml"  # the scores as they are, with the other sign
    config.write_text(config.read_text("utf-8").replace("higher_is_better: true", "higher_is_better: false"), encoding="utf-8")
    main(fetch.run)
    assert (folder / "data/given.json").read_bytes() != before
    main(sample.run)
    assert pd.read_parquet("data/selection.parquet")["id"].tolist() == [IDS[1], IDS[0], IDS[2]]


def test_the_digest_changes_with_the_content_alone(folder: Path) -> None:
    digest = folder / "data/given.json"
    (folder / "peer.csv").write_text(f"id\n{IDS[0]}\n")
    main(fetch.run)
    first = digest.read_bytes()
    (folder / "peer.csv").rename(folder / "other.csv")
    given(folder / "params.yaml", str(folder / "other.csv"))
    main(fetch.run)
    assert digest.read_bytes() == first
    (folder / "other.csv").write_text(f"id\n{IDS[1]}\n")
    main(fetch.run)
    assert digest.read_bytes() != first
    for where, sampler in ((None, "random"), ("no_such_file.csv", "random")):  # which another sampler does not read
        given(folder / "params.yaml", where, sampler)
        main(fetch.run)
        assert digest.read_bytes() == b"{}\n"
        main(sample.run)
        assert not [name for name in read_json("metrics/sample.json") if name.startswith("given_")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"peer\.csv: no such file or folder in /.*, where relative paths start$"),
        ("id,score\n", r"peer\.csv: holds no rows; write .* \(sample\.given in params\.yaml\)$"),
        ("id,score\na,nan\n", r"peer\.csv: 1 of its 1 scores are no finite numbers; .* \(sample\.given in params\.yaml\)$"),
        ("uid,note\na,x\n", r"peer\.csv: has the keys 'note', 'uid'; .* \(sample\.given in params\.yaml\)$"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_before_anything_is_computed(folder: Path, content: str | None, said: str) -> None:
    if content is not None:
        (folder / "peer.csv").write_text(content)
    with pytest.raises(SystemExit, match=f"^shed: error: {said}"):
        main(fetch.run)
    assert not (folder / "data/given.json").exists()


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["x", "y"], r"peer\.csv: none of its 2 ids is in the pool; .* \(sample\.given in params\.yaml\)$"),
        ([IDS[0], IDS[0]], r"peer\.csv: 1 of its 2 rows are in the pool .*, and 3 rows .* \(sample\.rows in params\.yaml\)$"),
    ],
)
def test_a_selection_that_does_not_fit_the_pool_stops_before_the_final_tuning(folder: Path, ids: list[str], said: str) -> None:
    (folder / "peer.csv").write_text("\n".join(["id", *ids]))
    main(fetch.run)
    with pytest.raises(SystemExit, match=f"^shed: error: {said}"):
        main(sample.run)
    assert not (folder / "data/selection.parquet").exists()


def test_a_selection_that_git_does_not_track_is_found_from_a_copy_of_the_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = tmp_path_factory.mktemp("project")
    (project / "peer.csv").write_text("\n".join(["id", *IDS]))
    monkeypatch.setenv("DVC_ROOT", str(project))
    main(fetch.run)
    main(sample.run)
    assert pd.read_parquet("data/selection.parquet")["id"].tolist() == IDS[:3]
