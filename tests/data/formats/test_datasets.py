"""Hugging Face datasets: folders that `datasets` saved, and the hub's at one commit (without a network here)."""

from pathlib import Path
from typing import Any

import datasets
import pytest

from shed.common.errors import ShedError
from shed.data.files import BadRow, Row, data_files, dataset_rows, is_dataset

COMMIT = "0123456789abcdef" * 2 + "01234567"
ROWS = [{"instruction": f"Say {n}", "output": str(n), "turns": [{"role": "user", "weight": None}]} for n in range(300)]


def test_a_saved_dataset_is_read_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    datasets.Dataset.from_list(ROWS).save_to_disk(folder)
    assert is_dataset(str(folder))
    assert not is_dataset(str(tmp_path))
    found = list(dataset_rows(str(folder)))
    assert [row.values for row in found if isinstance(row, Row)] == ROWS
    assert found[2] == Row(f"{folder}, row 3", ROWS[2], "mine")
    with pytest.raises(ShedError, match="mine: a folder that `datasets` saved; name it alone"):
        data_files(str(tmp_path))


def test_of_several_splits_one_is_named(tmp_path: Path) -> None:
    parts = {"train": datasets.Dataset.from_list(ROWS[:2]), "test": datasets.Dataset.from_list(ROWS[2:4])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "two")
    datasets.DatasetDict(train=parts["train"]).save_to_disk(tmp_path / "one")
    assert is_dataset(f"{tmp_path}/two")
    with pytest.raises(ShedError, match=r"two: has the splits train, test; name one as .*two/NAME"):
        list(dataset_rows(f"{tmp_path}/two"))
    assert [row.values for row in dataset_rows(f"{tmp_path}/two/test") if isinstance(row, Row)] == ROWS[2:4]
    assert len(list(dataset_rows(f"{tmp_path}/one"))) == 2


def test_a_damaged_folder_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    datasets.Dataset.from_list(ROWS).save_to_disk(folder)
    (arrow,) = folder.glob("*.arrow")
    whole = arrow.read_bytes()
    for damaged in (b"", b"hello", whole[: len(whole) // 2]):
        arrow.write_bytes(damaged)
        with pytest.raises(ShedError, match="mine: `datasets` cannot read it") as error:
            list(dataset_rows(str(folder)))
        assert "\n" not in str(error.value)
    for state in ("", "[]", "{}", '{"_data_files": 1}'):
        (folder / "state.json").write_text(state)
        with pytest.raises(ShedError, match="mine: `datasets` cannot read it"):
            list(dataset_rows(str(folder)))


def test_images_are_not_decoded(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    datasets.Dataset.from_list([{"image": {"bytes": b"no image", "path": None}, "text": "x"}], features).save_to_disk(
        tmp_path / "d"
    )
    (row,) = dataset_rows(f"{tmp_path}/d")
    assert isinstance(row, Row)
    assert row.values == {"image": {"bytes": b"no image", "path": None}, "text": "x"}


def test_a_dataset_of_the_hub_is_streamed_at_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def load(path: str, **options: Any) -> Any:
        asked.update(options, path=path)
        stream = datasets.Dataset.from_list(ROWS).to_iterable_dataset()
        return stream if options["split"] else datasets.IterableDatasetDict(train=stream, test=stream)

    monkeypatch.setattr("datasets.load_dataset", load)
    where = f"hf://datasets/me/my-set@{COMMIT}?split=train&config=en"
    assert is_dataset(where)
    found = list(dataset_rows(where))
    assert [row.values for row in found if isinstance(row, Row)] == ROWS
    assert (found[299].origin, isinstance(found[0], Row) and found[0].file) == (f"{where}, row 300", "my-set")
    assert asked == {"path": "me/my-set", "name": "en", "split": "train", "revision": COMMIT, "streaming": True}
    with pytest.raises(ShedError, match=r"has the splits train, test; add \?split=NAME to the address"):
        list(dataset_rows(f"hf://datasets/me/my-set@{COMMIT}"))
    assert isinstance(next(dataset_rows(where, 10)), BadRow)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            "hf://datasets/me/my-set",
            r"needs the full commit, 40 hexadecimal digits, as hf://datasets/me/my-set@COMMIT.*/commits/main",
        ),
        ("hf://datasets/me/my-set@main", "needs the full commit"),
        ("hf://datasets/me/my-set@" + COMMIT[:12], "needs the full commit"),
        (f"hf://datasets/json@{COMMIT}", "not the address of a dataset; write hf://datasets/OWNER/NAME@COMMIT"),
        (f"hf://datasets/me/my-set@{COMMIT}/data.json", "needs the full commit|not the address"),
        (f"hf://me/my-model@{COMMIT}", "not the address of a dataset"),
        (f"hf://datasets/me/my-set@{COMMIT}?splt=train", "'splt' is unknown, empty or given twice"),
        (f"hf://datasets/me/my-set@{COMMIT}?split=", "'split' is unknown, empty or given twice"),
        (f"hf://datasets/me/my-set@{COMMIT}?split=a&split=b", "'split' is unknown, empty or given twice"),
    ],
)
def test_an_address_that_is_not_whole_is_one_line(where: str, message: str) -> None:
    with pytest.raises(ShedError, match=message):
        list(dataset_rows(where))


@pytest.mark.parametrize(
    "error",
    [
        datasets.exceptions.DatasetNotFoundError("Dataset 'x' doesn't exist\nor is private"),
        ConnectionError("offline"),
        ValueError("Bad split: dev"),
        RuntimeError("Dataset scripts are no longer supported"),
    ],
)
def test_what_the_hub_does_not_give_is_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def load(path: str, **_: Any) -> Any:
        raise error

    monkeypatch.setattr("datasets.load_dataset", load)
    with pytest.raises(
        ShedError, match=r"`datasets` cannot read it \(.*\); check the address, the split and the network"
    ) as told:
        list(dataset_rows(f"hf://datasets/me/my-set@{COMMIT}?split=dev"))
    assert "\n" not in str(told.value)


def test_a_local_folder_of_the_same_name_is_not_taken_for_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "my-set").mkdir(parents=True)
    with pytest.raises(ShedError, match="there is a local me/my-set"):
        list(dataset_rows(f"hf://datasets/me/my-set@{COMMIT}"))
