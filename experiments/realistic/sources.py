"""The rows of the study by source.

In: a folder that holds the files of `FILES`, or a recipe such as `hub.yaml`. Out: each source's records, and the questions that
are tested on by written answers.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from shed.common.errors import ShedError
from shed.data.readers import BadRecord, ReaderSettings, Reading, read_user
from shed.data.recipes import is_recipe, read_recipe
from shed.data.records import Record
from shed.data.splits import read_split

QUESTIONS = "questions"  # the source that the pool has nothing of
FILES = {  # what a folder holds; a file that is not there is left out, but for those of dev
    "gsm8k": "gsm8k_train.jsonl",
    "code": "codegen-instruct.json",
    "roleplay": "roleplay-instruct.json",
    "english": "alpaca_en_demo.json",
    "chinese": "alpaca_zh_demo.json",
    "tools": "glaive_toolcall_en_demo.json",
    "tool_reasoning": "reason_tool_use_demo_50.jsonl",
    QUESTIONS: "gsm8k_test.jsonl",
}


def read_sources(where: str, settings: ReaderSettings) -> dict[str, list[Record]]:
    """The records of each source, in the order of the folder's files or of the recipe; how rows were read is told on stderr.

    Args:
        where: a folder or a recipe.
        settings: how rows are read, where a recipe says nothing else.

    Raises:
        ShedError: there is neither, or rows cannot be read.
    """
    reading = Reading()
    found: dict[str, list[Record]] = {}
    for row in _rows(where, settings, reading):
        if isinstance(row, Record):
            found.setdefault(row.source, []).append(row)
    for line in reading.told():
        print(f"shed: {line}", file=sys.stderr)
    return found


def _rows(where: str, settings: ReaderSettings, reading: Reading) -> Iterator[Record | BadRecord]:
    if is_recipe(where):
        read_recipe(where)
        yield from read_split(where, settings, reading, split="pool")
        return
    there = _there(Path(where).expanduser())
    for name, file in there.items():
        yield from read_user(str(file), settings, name, reading)


def _there(folder: Path) -> Mapping[str, Path]:
    if not folder.is_dir():
        raise ShedError(f"{folder}: neither a folder nor a recipe; give a folder with {', '.join(FILES.values())}")
    there = {name: folder / file for name, file in FILES.items() if (folder / file).is_file()}
    if not there:
        raise ShedError(f"{folder}: holds none of {', '.join(FILES.values())}; give a folder that does, or a recipe")
    return there
