"""`python -m shed.params [FILE]`: check a params file, and print each key with its value and its meaning.

In: the file and what it names. Out: lines, or the first error.
"""

import argparse
import sys
from pathlib import Path

from shed.common.errors import ShedError
from shed.data.files import data_files, is_dataset
from shed.data.recipes import is_recipe, read_recipe
from shed.data.splits import paths_of
from shed.data.tasks.documents import is_task, task_digests
from shed.params.meanings import describe
from shed.params.reading import load_params
from shed.params.whole import Params


def check_files(params: Params) -> None:
    """Refuse records, questions and a selection that are not there, in words, before DVC does in its own.

    Raises:
        ShedError: the first of them.
    """
    data = params.data
    for key, where in {"data.pool": data.pool, "data.dev": data.dev, "data.test": data.test}.items():
        for path in [] if where is None else paths_of(where):
            try:
                if is_task(path):
                    task_digests(path)
                elif is_recipe(path):
                    read_recipe(path)
                elif not is_dataset(path):
                    data_files(path)
            except ShedError as error:
                raise ShedError(f"{key}: {error}") from error
    if params.sampler == "given" and not Path(params.sample.given or "").expanduser().is_file():
        raise ShedError(f"sample.given is {params.sample.given!r}; there is no such file here")
    if not Path(params.judge.questions).is_file():
        raise ShedError(f"judge.questions is {params.judge.questions!r}; there is no such file here")


def main() -> None:
    """`python -m shed.params [FILE]`"""
    parser = argparse.ArgumentParser(
        prog="python -m shed.params", description="Check a params file, and print each key with its value and its meaning."
    )
    parser.add_argument("file", nargs="?", default="params.yaml", help="the file (default: params.yaml)")
    try:
        params = load_params(parser.parse_args().file)
        check_files(params)
    except ShedError as error:
        sys.exit(f"shed: error: {error}")
    print("\n".join(f"{line.name:<36} {line.value:<38} {line.meaning}" for line in describe(params)))
