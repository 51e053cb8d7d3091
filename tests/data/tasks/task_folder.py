"""A folder with a task file of lm-eval as its users write them, and the task's data beside it."""

import json
from pathlib import Path
from typing import Any

import yaml

from shed.data.readers import BadRecord, Reading
from shed.data.records import Record
from shed.data.tasks.documents import task_records


def questions(first: int, count: int) -> list[dict[str, Any]]:
    return [{"q": f"{n}+1?", "options": [f"{n}", f" {n + 1}"], "right": 1} for n in range(first, first + count)]


def task(folder: Path, name: str = "sums", rows: dict[str, list[dict[str, Any]]] | None = None, **changes: Any) -> str:
    """Write a task; `rows` are its splits' rows, by default of train, validation and test.

    Returns:
        The name of its file.
    """
    rows = rows or {"train": questions(0, 4), "validation": questions(10, 3), "test": questions(20, 2)}
    for split, own in rows.items():
        (folder / f"{name}-{split}.jsonl").write_text("\n".join(map(json.dumps, own)), encoding="utf-8")
    config = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {split: f"{name}-{split}.jsonl" for split in rows},
            "cache_dir": str(folder / "cache"),
        },
        "output_type": "multiple_choice",
        "training_split": "train" if "train" in rows else None,
        "validation_split": "validation" if "validation" in rows else None,
        "test_split": "test" if "test" in rows else None,
        "description": "Add the numbers.\n\n",
        "doc_to_text": "Question: {{q}}\nAnswer:",
        "doc_to_choice": "{{options}}",
        "doc_to_target": "right",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    path = folder / f"{name}.yaml"
    values = {key: value for key, value in (config | changes).items() if value is not None}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path.name


def read(where: str, split: str = "dev", source: str | None = None) -> list[Record | BadRecord]:
    return list(task_records(where, split, source, Reading()))
