"""Dev and test where there are none: split off the pool, with nothing of one in the other."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shed.common.atomic_io import read_json, write_json
from shed.common.errors import ShedError
from shed.data.near_duplicates import asked, jaccard, shingles
from shed.data.preparation import PreparedData, prepare
from shed.data.readers import BadRecord
from shed.data.records import Record, read_records, single_turn
from shed.data.splitting.split_off import sizes, split_off, told
from shed.params import load_params
from stages import fetch, main
from stages import prepare as stage

NAMES = ("pool", "dev", "test")


def record(prompt: str, response: str = "yes", source: str = "a") -> Record:
    return single_turn(prompt, response, source, f"{source}: {prompt}")


def unlike(n: int) -> str:
    return f"q{n} r{n} s{n} t{n}"


def many(count: int, source: str = "a") -> list[Record]:
    return [record(f"{source} {unlike(n)}", source=source) for n in range(count)]


def prepared(pool: Iterable[Record | BadRecord], **settings: Any) -> PreparedData:
    """Without dev and test, unless they are given."""
    given = {"dev": None, "test": None, "pool_rows": None, "dev_rows": None, "test_rows": None, "near": None, "seed": 1}
    return prepare(pool, **{**given, **settings})


def of_sources(records: Iterable[Record]) -> Counter[str]:
    return Counter(one.source for one in records)


def test_a_tenth_each_is_split_off_in_proportion_to_sources_and_told() -> None:
    bad = BadRecord("p.jsonl, line 7", "p", "not valid JSON", "{")
    result = prepared([*many(600), *many(300, "b"), *many(100, "c"), *many(5), bad])
    result.check(0.05)
    assert of_sources(result.dev) == of_sources(result.test) == {"a": 60, "b": 30, "c": 10}
    assert of_sources(result.pool) == {"a": 480, "b": 240, "c": 80}
    assert result.counts_told("pool") == (
        "pool: 1,006 rows read, 800 kept, 100 split off for dev, 100 split off for test; "
        "set aside: 5 exact_duplicate, 1 not valid JSON"
    )
    assert list(told(result.off_pool)) == [
        "dev: 100 records, split off the pool",
        "test: 100 records, split off the pool",
        "test is of the pool's own distribution: what is gained there says nothing of other tasks",
    ]
    card = result.card({split: {} for split in NAMES})
    assert {key: card["pool"][key] for key in ("in", "kept", "rejected", "split_off")} == {
        "in": 1006,
        "kept": 800,
        "rejected": 6,
        "split_off": {"dev": 100, "test": 100},
    }
    assert (card["dev"]["in"], card["dev"]["split_off_from"], card["dev"]["rejected_by_reason"]) == (100, "pool", {})


def test_of_a_large_pool_at_most_three_hundred_are_split_off_and_the_pool_has_its_rows() -> None:
    result = prepared([*many(3500), *many(500, "b")], pool_rows=500, dev_rows=40)
    assert (len(result.pool), len(result.dev), len(result.test)) == (500, 40, 300)
    # the pool is drawn evenly over sources, and what is split off has the same shares
    assert of_sources(result.pool) == {"a": 250, "b": 250}
    assert of_sources(result.dev) == {"a": 20, "b": 20}
    assert sum(reject.reason == "not_drawn" for reject in result.rejects) == 4000 - 840


@pytest.mark.parametrize("given_split", ["dev", "test"])
def test_if_one_is_given_the_other_alone_is_split_off_and_shares_no_prompt_with_it(given_split: str) -> None:
    other = {"dev": "test", "test": "dev"}[given_split]
    own = many(20)[:5]
    result = prepared(many(100), **{given_split: own})
    assert sorted(one.id for one in getattr(result, given_split)) == sorted(one.id for one in own)
    assert {reject.reason for reject in result.rejects} == {f"in_{given_split}"}
    assert (len(getattr(result, other)), len(result.pool)) == (9, 95 - 9)
    assert not {one.id for one in getattr(result, other)} & {one.id for one in own}
    assert list(result.off_pool) == [other]


@given(
    st.lists(st.tuples(st.text("abc", min_size=4, max_size=7), st.sampled_from("xyz"), st.sampled_from("st")), max_size=60),
    st.sampled_from([None, 20]),
    st.integers(1, 10),
    st.integers(0, 3),
    st.sampled_from([None, 0.4]),
)
def test_every_row_is_in_one_place_and_nothing_alike_in_two_splits(
    rows: list[tuple[str, str, str]], pool_rows: int | None, dev_rows: int, seed: int, near: float | None
) -> None:
    pool = [*many(24), *(record(" ".join(word), response, source) for word, response, source in rows)]
    result = prepared(pool, pool_rows=pool_rows, dev_rows=dev_rows, near=near, seed=seed)
    result.check(0.0)
    splits = [getattr(result, split) for split in NAMES]
    assert Counter(one.id for one in pool) == Counter(
        [*(one.id for split in splits for one in split), *(reject.record.id for reject in result.rejects)]  # type: ignore[union-attr]
    )
    for n, split in enumerate(splits):
        for other in splits[n + 1 :]:
            for one in split:
                assert all(jaccard(shingles(asked(one)), shingles(asked(two))) < (near or 0.7) for two in other)
    assert prepared(pool, pool_rows=pool_rows, dev_rows=dev_rows, near=near, seed=seed) == result
    assert 0 < len(result.dev) <= dev_rows


def test_groups_go_to_one_side_and_their_size_does_not_favour_them() -> None:
    """Half of the records ask a question that nine others ask, too."""
    pool = [*many(500), *(record(unlike(n // 10), str(n)) for n in range(500))]
    of_groups = []
    for seed in range(20):
        result = prepared(pool, dev_rows=100, test_rows=1, seed=seed)
        counts = Counter(one.prompt for one in result.dev)
        assert set(counts.values()) <= {1, 10}
        of_groups.append(sum(count for count in counts.values() if count > 1))
    assert 40 <= sum(of_groups) / len(of_groups) <= 60


def test_another_seed_splits_otherwise() -> None:
    one, other = (prepared(many(100), seed=seed) for seed in (1, 2))
    assert {record.id for record in one.dev} != {record.id for record in other.dev}
    assert [record.id for record in one.dev] != sorted(record.id for record in one.dev)


def test_what_shares_leave_open_is_filled_from_any_source() -> None:
    """Ten sources of which each has one record to give, in groups of two."""
    pool = [record(unlike(n // 2) + source, str(n), source) for source in "abcdefghij" for n in range(10)]
    (found,) = split_off(pool, {"dev": 10}, None, 1).values()
    assert len(found.records) == 10
    assert set(Counter(one.prompt for one in found.records).values()) == {2}
    # and what no group fits into stays open
    (found,) = split_off(pool, {"dev": 9}, None, 1).values()
    assert len(found.records) == 8
    assert next(told({"dev": found})) == (
        "dev: 8 records, split off the pool; of 9, since no other group of like prompts fits in"
    )


def test_a_split_that_has_nothing_like_much_of_the_pool_is_warned_of() -> None:
    pool = [*many(60), *(record("what is it?", str(n)) for n in range(40))]
    found = split_off(pool, {"dev": 10}, None, 1)["dev"]
    assert all(one.prompt != "what is it?" for one in found.records)
    assert found.warning is not None
    assert found.barred == pytest.approx(0.4, abs=0.25)  # of the ten or twenty records that were looked at
    assert "of the pool's records are in groups of like prompts that are too large to be split off" in found.warning
    assert split_off(many(100), {"dev": 10}, None, 1)["dev"].warning is None


def test_sizes_are_what_is_asked_for_else_a_tenth() -> None:
    assert sizes(2000, {"dev": None, "test": None}) == {"dev": 200, "test": 200}
    assert sizes(90_000, {"dev": None}) == {"dev": 300}
    assert sizes(100, {"dev": 40, "test": 10}) == {"dev": 40, "test": 10}


@pytest.mark.parametrize(
    ("usable", "rows", "said", "setting"),
    [
        (
            7,
            {"dev": None, "test": None},
            "the pool has 7 usable records, and needs 10 so that a tenth can be split off for dev; "
            "give a larger pool, or records for dev",
            "records of dev",
        ),
        (
            99,
            {"dev": 50},
            "the pool has 99 usable records, and needs 100 to split off 50 for dev, since at least half of it stays; "
            "lower the number, give a larger pool, or records of their own",
            "rows of dev",
        ),
        (
            100,
            {"dev": None, "test": 41},
            "the pool has 100 usable records, and needs 102 to split off 10 for dev and 41 for test, since at least half of it "
            "stays; lower the number, give a larger pool, or records of their own",
            "rows of test",
        ),
    ],
)
def test_a_pool_that_is_too_small_is_refused_when_its_rejects_are_known(
    usable: int, rows: dict[str, int | None], said: str, setting: str
) -> None:
    others = {split: many(1, split) for split in ("dev", "test") if split not in rows}
    result = prepared([*many(usable), *many(1)], **others, **{f"{split}_rows": count for split, count in rows.items()})
    assert [reject.reason for reject in result.rejects] == ["exact_duplicate"]
    assert result.counts_told("pool") == f"pool: {usable + 1} rows read, {usable} kept; set aside: 1 exact_duplicate"
    with pytest.raises(ShedError) as error:
        result.check(0.05)
    assert (str(error.value), error.value.setting) == (said, setting)


def test_rows_that_cannot_be_read_are_told_before_the_pool_is_called_too_small() -> None:
    bad: list[Record | BadRecord] = [BadRecord(f"p.jsonl, line {n}", "p", "not valid JSON", "{") for n in range(50)]
    with pytest.raises(ShedError, match="of 50 rows in p.jsonl none can be used"):
        prepared([*many(5), *bad]).check(0.05)
    # a share of all rows, those that are split off among them
    unread = [BadRecord(f"line {n}", "p", "not valid JSON", "{") for n in range(5)]
    result = prepared([*many(95), *unread], dev_rows=20, test_rows=20)
    result.check(0.05)
    with pytest.raises(ShedError, match="5 of 100 rows cannot be read"):
        result.check(0.04)


def test_prompts_that_are_all_alike_cannot_be_split() -> None:
    result = prepared([record("what is it?", str(n)) for n in range(40)], dev=many(1))
    with pytest.raises(ShedError, match=r"so many prompts are equal, or alike from a similarity of 0\.7 on, that") as error:
        result.check(0.05)
    assert error.value.setting == "near-duplicates"


@pytest.fixture
def folder(tmp_path: Path, project_root: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a pool of 60 questions of two options, and no dev nor test."""
    params = yaml.safe_load((project_root / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"pool": "mine.jsonl", "dev": None, "test": None, "pool_rows": None, "dev_rows": None}
    params["model"] |= {"name": tiny_model, "max_tokens": 128}
    params["evaluate"]["written"]["limit"] = 0
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    rows = [{"question": unlike(n), "choices": ["oak", f"iron {n}"], "answer": 1} for n in range(60)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetch, "_keep", lambda path, name, kind: write_json(path, {}))
    monkeypatch.setattr(stage, "check_embedder", lambda model, revision: None)
    monkeypatch.setattr(stage, "times_told", lambda params, encoder: "")
    return tmp_path


def test_the_stages_need_no_dev_and_no_test(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = load_params()
    fetch.run(params)
    assert list(read_json("data/inputs.json")) == ["pool"]
    stage.run(params)
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in NAMES}
    assert {split: len(records) for split, records in splits.items()} == {"pool": 48, "dev": 6, "test": 6}
    assert len({one.prompt for records in splits.values() for one in records}) == 60
    card = read_json("metrics/data.json")
    assert card["pool"]["split_off"] == {"dev": 6, "test": 6}
    assert card["dev"]["licences"] == {"mine": "the user's own"}
    lines = capsys.readouterr().err.splitlines()
    assert "shed: pool: 60 rows read, 48 kept, 6 split off for dev, 6 split off for test" in lines
    assert "shed: dev: 6 records, split off the pool" in lines
    assert "shed: test is of the pool's own distribution: what is gained there says nothing of other tasks" in lines


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dev_rows": 30}, r"needs 72 to split off 30 for dev and 6 for test, .* \(data\.dev_rows in params\.yaml\)$"),
        ({"test_rows": 31}, r"needs 74 to split off 6 for dev and 31 for test, .* \(data\.test_rows in params\.yaml\)$"),
        ({"near_duplicates": 0.9}, r"a similarity of 0\.9 on, that no .* \(data\.near_duplicates in params\.yaml\)$"),
    ],
)
def test_a_pool_that_cannot_be_split_is_one_line_with_the_key(folder: Path, change: dict[str, Any], said: str) -> None:
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= change
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    if "near_duplicates" in change:
        rows = [{"question": "which one?", "choices": ["oak", f"iron {n}"], "answer": 1} for n in range(60)]
        (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    main(fetch.run)
    with pytest.raises(SystemExit, match=said):
        main(stage.run)
    assert (folder / "data/prepared/rejects.jsonl").exists()
    assert not (folder / "data/prepared/pool.jsonl").exists()
