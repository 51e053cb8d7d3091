"""A selection comes from elsewhere, in one of the usual files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from given_pool import DEFAULT, GIVEN, numbers, order, refused, write
from hypothesis import given as examples
from hypothesis import strategies as st

from shed.common.errors import ShedError
from shed.data.readers import ReaderSettings
from shed.data.records import Record, single_turn
from shed.selection.given.files import Entry, Given, read_given
from shed.selection.given.order import _by_content, order_of, select_given
from shed.selection.sampling import Size


@pytest.mark.parametrize("name", ["ids.txt", "ids", "ids.csv", "ids.json", "ids.jsonl", "ids.parquet"])
@pytest.mark.parametrize("whose", ["ours", "theirs", "ours as shed_id"])
def test_ids_are_taken_in_the_files_order(tmp_path: Path, pool: list[Record], name: str, whose: str) -> None:
    by_number = {json.loads(record.given)["id"]: record.id for record in pool}
    ids = [own if whose == "theirs" else by_number[own] for own in ("mine-4", "mine-0", "mine-2")]
    if name in ("ids.txt", "ids"):
        write(tmp_path / "ids.txt", ids).rename(tmp_path / name)
    elif whose == "ours as shed_id":
        write(tmp_path / name, [{"id": f"x{n}", "shed_id": id, "note": "good"} for n, id in enumerate(ids)])
    else:
        write(tmp_path / name, [{"id": id, "note": "good"} for id in ids])
    found = order(tmp_path / name, pool)
    assert numbers(found, pool) == [4, 0, 2]
    assert list(found.reasons.values()) == [f"given, row {row} of {name}" for row in (1, 2, 3)]
    assert found.counts == {"given_rows": 3, "given_matched": 3, "given_unmatched": 0, "given_repeated": 0}


def test_a_json_list_of_ids_is_a_file_of_ids(tmp_path: Path, pool: list[Record]) -> None:
    assert numbers(order(write(tmp_path / "ids.json", ["mine-5", "mine-1"]), pool), pool) == [5, 1]


def test_ids_that_are_whole_numbers_are_the_users_own(tmp_path: Path) -> None:
    rows = [{"id": n, "prompt": f"q{n}", "response": "a"} for n in range(4)]
    records = [entry.record for entry in read_given(write(tmp_path / "pool.jsonl", rows), DEFAULT).entries if entry.record]
    found = order(write(tmp_path / "ids.txt", ["3", "1"]), records)
    assert list(found.reasons) == [records[3].id, records[1].id]
    assert order(write(tmp_path / "ids.csv", [{"id": 3}, {"id": 1}]), records).reasons.keys() == found.reasons.keys()
    assert order(write(tmp_path / "ids.json", [{"id": 3}, {"id": 1}]), records).reasons.keys() == found.reasons.keys()


@pytest.mark.parametrize("name", ["scores.csv", "scores.json", "scores.jsonl", "scores.parquet"])
@pytest.mark.parametrize("column", ["score", "ifd"])
def test_of_scores_the_highest_come_first(tmp_path: Path, pool: list[Record], name: str, column: str) -> None:
    said = {"mine-1": 0.5, "mine-3": -2.0, "mine-0": 0.815, "not there": 9.0, "mine-5": 0.5}
    beside = {"length": 7} if column == "score" else {"source": "web"}  # `score` goes before other numbers
    found = order(write(tmp_path / name, [{"id": id, column: score, **beside} for id, score in said.items()]), pool)
    assert numbers(found, pool) == [0, 1, 5, 3]
    assert list(found.reasons.values()) == [
        f"given, scored {rank} of 4, {score}" for rank, score in ((1, "0.815"), (2, "0.5"), (3, "0.5"), (4, "-2"))
    ]
    assert found.counts == {"given_rows": 5, "given_matched": 4, "given_unmatched": 1, "given_repeated": 0}
    assert found.told() == (
        f"{tmp_path / name}: 5 scores by id (column {column!r}); matched with the pool: 4, not in it: 1, repeated: 0"
    )


@pytest.mark.parametrize("name", ["rows.csv", "rows.json", "rows.jsonl", "rows.parquet"])
def test_rows_are_matched_by_what_they_say(tmp_path: Path, pool: list[Record], name: str) -> None:
    rows = [GIVEN[2] | {"id": "other", "keep": "yes"}, GIVEN[5] | {"output": "IT is  6."}, GIVEN[0] | {"output": "It is 2."}]
    found = order(write(tmp_path / name, rows), pool)
    assert numbers(found, pool) == [2, 5]  # the first to the letter, the second but for case and spacing, the third not
    assert list(found.reasons.values()) == [f"given, row 1 of {name}", f"given, row 2 of {name}"]
    assert found.counts["given_unmatched"] == 1


def test_rows_may_have_another_form_than_the_pools(tmp_path: Path, pool: list[Record]) -> None:
    chat = [
        {"messages": [{"role": "user", "content": f"Add {n} and 1."}, {"role": "assistant", "content": f"It is {n + 1}."}]}
        for n in (4, 1)
    ]
    path = write(tmp_path / "peer.jsonl", chat)
    own = ReaderSettings("alpaca", {"prompt": "instruction", "response": "output"}, "rows", (), "all", 1.0)
    assert numbers(order(path, pool, own), pool) == numbers(order(path, pool), pool) == [4, 1]
    (tmp_path / "peer.json").write_text(json.dumps({"rows": chat[:1], "dropped": chat[1:]}))  # the run's key of the list
    assert numbers(order(tmp_path / "peer.json", pool, own), pool) == [4]
    (tmp_path / "peer.json").write_text(json.dumps({"kept": chat[:1]}))
    assert numbers(order(tmp_path / "peer.json", pool, own), pool) == [4]


def test_rows_in_the_users_columns_are_read_as_the_pool_is(tmp_path: Path, pool: list[Record]) -> None:
    path = write(tmp_path / "rows.csv", [{"q": row["instruction"], "r": row["output"]} for row in GIVEN[:2]])
    own = ReaderSettings(None, {"prompt": "q", "response": "r"}, None, (), "all", 1.0)
    assert numbers(order(path, pool, own), pool) == [0, 1]


def test_rows_with_scores_are_scores(tmp_path: Path, pool: list[Record]) -> None:
    found = order(write(tmp_path / "rows.jsonl", [row | {"score": n % 4} for n, row in enumerate(GIVEN)]), pool)
    assert numbers(found, pool) == [3, 2, 1, 5, 0, 4]
    assert "rows with scores (column 'score')" in found.told()


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "ids.parquet"])
def test_a_selection_that_shed_wrote_stands_in_its_order(tmp_path: Path, pool: list[Record], name: str) -> None:
    """Its column `score` is that of a cluster, by which the rows are not sorted."""
    by_number = {json.loads(record.given)["id"]: record.id for record in pool}
    about = [{"cluster": n % 2, "score": 0.1 * n, "reason": f"rated {n}"} for n in range(3)]
    rows = [
        own | ({"id": by_number[f"mine-{n}"]} if name == "ids.parquet" else GIVEN[n])
        for n, own in zip((4, 0, 2), about, strict=True)
    ]
    found = order(write(tmp_path / name, rows), pool)
    assert numbers(found, pool) == [4, 0, 2]
    assert "score" not in found.told()


def test_rows_that_cannot_be_read_are_not_in_the_pool(tmp_path: Path, pool: list[Record]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([json.dumps(GIVEN[1]), "{broken", json.dumps({"instruction": "no answer"})]))
    found = order(path, pool)
    assert numbers(found, pool) == [1]
    assert found.counts == {"given_rows": 3, "given_matched": 1, "given_unmatched": 2, "given_repeated": 0}
    path.write_text("\n".join([json.dumps(GIVEN[1] | {"score": 1}), "{broken"]))
    assert numbers(order(path, pool), pool) == [1]


def test_a_copy_that_prepare_dropped_means_the_record_that_it_kept(tmp_path: Path, pool: list[Record]) -> None:
    found = order(write(tmp_path / "rows.jsonl", [GIVEN[3] | {"output": "it is 4."}, GIVEN[3], GIVEN[0]]), pool)
    assert numbers(found, pool) == [3, 0]
    assert list(found.reasons.values())[1] == "given, row 3 of rows.jsonl"
    assert found.counts == {"given_rows": 3, "given_matched": 2, "given_unmatched": 0, "given_repeated": 1}


@pytest.mark.parametrize("name", ["scores.json", "scores.csv", "scores.parquet", "scores.txt", "scores.jsonl"])
def test_as_many_numbers_as_records_are_scores_by_position(tmp_path: Path, pool: list[Record], name: str) -> None:
    scores = [0.1, 0.9, -1.0, 0.3, 0.2, 0.8]
    table = [{"influence": score} for score in scores]
    rows = table if name.endswith(("csv", "parquet")) else list(map(str, scores)) if name.endswith("txt") else scores
    found = order(write(tmp_path / name, rows), pool)
    assert list(found.reasons) == [pool[place].id for place in (1, 5, 3, 4, 0, 2)]
    assert next(iter(found.reasons.values())) == "given, scored 1 of 6, 0.9"
    assert "6 numbers, one for each record of the prepared pool, taken for their scores in its order" in found.told()
    write(tmp_path / name, rows[:-1])
    assert refused(tmp_path / name, pool) == (
        "5 numbers without ids, and the pool has 6 records; numbers are taken for scores if there is one for each record of "
        "the prepared pool, in its order; else give `id` and `score`"
    )


def test_the_budget_takes_the_first_and_too_few_are_refused(tmp_path: Path, pool: list[Record]) -> None:
    clusters = pd.DataFrame({"id": [record.id for record in pool], "source": "mine", "cluster": [0, 0, 0, 1, 1, 1]})
    scores = pd.DataFrame({"cluster": [0, 1], "score": [0.25, 0.75]})
    path = write(tmp_path / "peer.txt", ["mine-2", "nobody", "mine-3", "mine-2", "mine-0"])
    found = order(path, pool)
    selection = select_given(found, clusters, scores, Size(2))
    assert selection.columns.tolist() == ["id", "source", "cluster", "score", "reason"]
    assert selection["id"].tolist() == [pool[5].id, pool[0].id]
    assert selection["score"].tolist() == [0.75, 0.25]
    assert selection["reason"].tolist() == ["given, row 1 of peer.txt", "given, row 3 of peer.txt"]
    assert len(select_given(found, clusters, scores, Size(3))) == 3
    with pytest.raises(ShedError) as error:
        select_given(found, clusters, scores, Size(4))
    assert error.value.setting == "rows"
    assert str(error.value) == (
        f"{path}: 3 of its 5 rows are in the pool (not in it: 1, repeated: 1), and 4 rows are to be kept; "
        "keep at most 3 rows, and set no fraction"
    )


def test_records_that_may_not_be_selected_are_passed_over_and_counted(tmp_path: Path, pool: list[Record]) -> None:
    table = pd.DataFrame({"id": [record.id for record in pool], "source": "mine", "cluster": 0, "response_tokens": 10})
    scores = pd.DataFrame({"cluster": [0], "score": [0.25]})
    path = write(tmp_path / "peer.txt", ["mine-2", "mine-3", "mine-0"])
    found = order(path, pool)
    fitting = table[table["id"] != pool[5].id]  # mine-2 is longer than the context
    assert select_given(found, fitting, scores, Size(1))["id"].tolist() == [pool[0].id]
    assert len(select_given(found, fitting, scores, Size(14, "tokens"))) == 1
    with pytest.raises(
        ShedError, match="repeated: 0, not to be selected: 1\\), and 30 response tokens are to be kept; "
    ) as error:
        select_given(found, fitting, scores, Size(30, "tokens"))
    assert error.value.setting == "tokens"


@examples(st.lists(st.tuples(st.integers(0, 8), st.integers(-3, 3)), min_size=1), st.booleans())
def test_each_row_is_matched_repeated_or_not_there_and_the_order_is_that_of_the_file_or_the_scores(
    tmp_path_factory: pytest.TempPathFactory, pool: list[Record], rows: list[tuple[int, int]], scored: bool
) -> None:
    named = [{"id": f"mine-{n}", "note": "x"} | ({"score": score} if scored else {}) for n, score in rows]
    path = write(tmp_path_factory.mktemp("given") / "peer.jsonl", named)
    there = [(n, score) for n, score in rows if n < len(GIVEN)]
    if not there:
        assert refused(path, pool).startswith(f"none of its {len(rows)} ids is in the pool")
        return
    found = order(path, pool)
    best = {n: max(score for m, score in there if m == n) for n, _ in there}
    first = list(dict.fromkeys(n for n, _ in there))
    taken = numbers(found, pool)
    assert sorted(taken) == sorted(best)
    assert found.counts == {
        "given_rows": len(rows),
        "given_matched": len(best),
        "given_unmatched": len(rows) - len(there),
        "given_repeated": len(there) - len(best),
    }
    if scored:
        assert (np.diff([best[n] for n in taken]) <= 0).all()
    else:
        assert taken == first


@pytest.mark.parametrize("kind", ["ids", "rows", "numbers"])
def test_the_pool_may_be_read_from_its_file_meanwhile_once(tmp_path: Path, pool: list[Record], kind: str) -> None:
    ids = [{"id": "mine-4"}, {"id": pool[0].id}, {"id": "not there"}]
    rows = [GIVEN[2] | {"id": "x"}, {"instruction": "Subtract.", "output": "No."}, GIVEN[5] | {"output": "IT IS 6."}]
    entries: list[object] = {"ids": ids, "rows": rows, "numbers": [{"score": n % 4} for n in range(6)]}[kind]  # type: ignore[assignment]
    given = read_given(write(tmp_path / "given.jsonl", entries), DEFAULT)
    assert given.kind == kind
    whole, once = order_of(given, pool), order_of(given, iter(pool))
    assert once.reasons == whole.reasons
    assert list(once.reasons) == list(whole.reasons)
    assert once.counts == whole.counts
    assert once.counts["given_matched"] == {"ids": 2, "rows": 2, "numbers": 6}[kind]


def test_a_row_that_is_in_the_pool_to_the_letter_is_that_record_and_no_copy_of_it() -> None:
    pool = [single_turn("add 1 and 1", "it is 2", "a", "1"), single_turn("Add 1 and 1", "It is 2", "a", "2")]
    rows = [pool[1], single_turn("ADD 1 AND 1", "It is 2", "b", "3"), single_turn("Add 1 and 2", "It is 3", "b", "4")]
    given = Given(Path("peer.jsonl"), "rows", [Entry(f"line {n}", record=row) for n, row in enumerate(rows, start=1)])
    assert _by_content(given, pool) == [pool[1].id, pool[0].id, None]
