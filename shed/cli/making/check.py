"""`shed check`: whether data, model and params can be used, before anything costs time.

In: a project. Out: what each split holds, what is set aside and why, what is cut, and the first error, if there is one; nothing
of the project is written.

The first stages themselves are run, in a folder that is then removed: what they refuse would be refused by `dvc repro`. Of a
split of many rows, all are read, and the stages are given a random sample (`shed.cli.making.survey`).
"""

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from shed.cli.making.findings import IN_TABLE, SPLITS, Findings, draw
from shed.cli.making.outlook import few
from shed.cli.making.survey import HELD, Survey, on_all_rows, sampled
from shed.cli.project import Project, find_project
from shed.cli.running.changes import check_changes, of_changes
from shed.cli.running.run import Changes
from shed.cli.terminal import Json, show_result
from shed.common.atomic_io import read_json, write_text
from shed.common.errors import ShedError
from shed.data.readers import BadRecord
from shed.data.records import Record
from shed.params import Params, check_files

Result = TypeVar("Result")
SAID, WARNED = "shed: ", "warning: "
IN_REJECTS = "each is in rejects.jsonl"
MOST_DRAWN = 50_000  # rows that params ask for; more are looked at in a sample


def check(*, changes: Changes = None, as_json: Json = False) -> None:
    """Check data, model and params before anything costs time; exit status 1 if the pipeline would fail.

    All rows are read. Told are their forms, what is set aside (unreadable, duplicates, records of dev or test in the pool),
    lengths in tokens, what the context cuts, licences, and what of it stops the pipeline. Of a file of many rows, lengths and
    records of dev or test are looked at in a random sample, whose size is told.
    """
    found = checked(find_project(), changes or ())
    show_result(vars(found) | {"ok": not found.errors}, as_json, lambda console: draw(console, found))
    if found.errors:
        raise SystemExit(1)


def checked(project: Project, changes: Sequence[str] = ()) -> Findings:
    """What is found, up to the first error, with changes of params that are not made."""
    found = Findings()
    read = _tried(found, lambda: check_changes(project.root, changes))
    if read is None:
        return found
    params, text = read
    found.may_be_too_long = params.sample.too_long or params.sampler == "full"
    with chdir(project.root):
        _tried(found, lambda: check_files(params))
    if not found.errors:
        _run_stages(project, params, text, found)
    found.errors = [of_changes(line, changes) for line in found.errors]
    return found


def _run_stages(project: Project, params: Params, text: str, found: Findings) -> None:
    """The stages that check, in a folder with these params."""
    surveys: dict[str, Survey] = {}
    with _in_copy(project.root, text) as copy:
        from stages import fetch, lengths, prepare

        stages = (
            partial(fetch.run, params),
            partial(prepare.run, params, partial(_looked_at, params, surveys)),
            lambda: lengths.run(_of_sample(params, surveys)),
            lambda: _tell_outlook(params, found),
        )
        for stage in stages:
            said = io.StringIO()
            with redirect_stderr(said):
                _tried(found, stage)
            for line in said.getvalue().splitlines():
                if line.startswith(SAID + WARNED):
                    found.warnings.append(line.removeprefix(SAID + WARNED))
                elif line.startswith(SAID):
                    found.told.append(line.removeprefix(SAID))
            if found.errors:
                found.errors[-1] += _of_which_rows(surveys)
                break
        if (card := copy / "metrics/data.json").exists():
            found.card = read_json(card)
        if (own := copy / "metrics/lengths.json").exists():
            found.lengths = read_json(own)
        if (rejects := copy / "data/prepared/rejects.jsonl").exists():
            found.rejects = list(_first_of_reasons(rejects))
        for split, survey in surveys.items():
            _tell_of_all_rows(params, found, split, survey)
    for lines in (found.errors, found.warnings, found.told):
        lines[:] = [_of_project(line, project.root, copy) for line in lines]
    for reject in found.rejects:
        reject["origin"] = _of_project(reject["origin"], project.root, copy)


def _of_project(line: str, root: Path, copy: Path) -> str:
    """A line of a stage as the project would have it: the copy names files of the project in full, and is removed."""
    for folder in (root, copy, copy.resolve()):
        line = line.replace(f"{folder}{os.sep}", "")
    line = line.replace(str(copy.resolve()), str(root)).replace(str(copy), str(root))
    return line.replace(IN_REJECTS, f"{IN_REJECTS}, once `shed run prepare` has written it to data/prepared")


def _looked_at(
    params: Params, surveys: dict[str, Survey], split: str, rows: Iterator[Record | BadRecord]
) -> Iterator[Record | BadRecord]:
    """The rows that the stages are given: all, or a sample of many."""
    if params.sampler == "given" and split == "pool":
        return rows  # each of its rows may be one that is given
    drawn = sum(getattr(params.data, f"{name}_rows") or 0 for name in SPLITS)
    size = max(HELD, 2 * drawn) if drawn <= MOST_DRAWN else HELD
    return sampled(rows, size, params.data.seed, surveys, split, params.data.max_rejects)


def _tell_outlook(params: Params, found: Findings) -> None:
    card = read_json("metrics/data.json")
    found.warnings += few(params, card)


def _of_which_rows(surveys: Mapping[str, Survey]) -> str:
    """For an error of a stage: where it has seen a sample, its counts are of that."""
    if not all(own.looked_at for own in surveys.values()):
        return ""  # all rows were counted
    seen = [f"{own.looked_at:,} of the {own.rows:,} rows of {split}" for split, own in surveys.items()]
    return f" (counts are of a random sample: {', '.join(seen)})" if seen else ""


def _of_sample(params: Params, surveys: Mapping[str, Survey]) -> Params:
    """The params, with the selection's size in proportion where the stages have fewer records of the pool than a run has."""
    if "pool" not in surveys:
        return params
    card = read_json("metrics/data.json")["pool"]
    share = card["kept"] / max(1, on_all_rows(card, surveys["pool"], params.data.pool_rows)["kept"])
    sizes = {key: max(1, int(size * share)) for key in ("rows", "tokens") if (size := getattr(params.sample, key))}
    return params.model_copy(update={"sample": params.sample.model_copy(update=sizes)})


def _tell_of_all_rows(params: Params, found: Findings, split: str, own: Survey) -> None:
    """Counts of all rows in the place of those of a sample."""
    if found.card:
        found.card[split] = on_all_rows(found.card[split], own, getattr(params.data, f"{split}_rows"))
    found.rejects = [one for one in found.rejects if one["split"] != split or one["reason"] not in own.unreadable]
    found.rejects += [{"split": split, "reason": reason, "origin": origin} for reason, origin in own.first.items()]
    found.told = [line for line in found.told if not line.startswith(f"{split}: ") or not IN_TABLE.match(line)]
    if own.looked_at:
        found.told.append(
            f"{split}: all {own.rows:,} rows were read; what the model cannot take, what dev and test share, near-duplicates "
            f"and lengths were looked at in {own.looked_at:,} of them, drawn at random"
        )


@contextmanager
def _in_copy(root: Path, params: str) -> Iterator[Path]:
    """A folder to work in, that has the text of params; the project's data is found where it is."""
    before = os.environ.get("DVC_ROOT")
    with TemporaryDirectory() as folder, chdir(folder):
        write_text("params.yaml", params)
        os.environ["DVC_ROOT"] = str(root)
        try:
            yield Path(folder)
        finally:
            os.environ.pop("DVC_ROOT")
            if before is not None:
                os.environ["DVC_ROOT"] = before


def _tried(found: Findings, step: Callable[[], Result]) -> Result | None:
    """What a step gives; its error is a finding."""
    from stages import KEYS, naming_keys

    try:
        with naming_keys(KEYS):
            return step()
    except ShedError as error:
        found.errors.append(str(error))
        return None


def _first_of_reasons(rejects: Path) -> Iterator[dict[str, str]]:
    """The first row of each split and reason, but of rows that were only not drawn."""
    seen: set[tuple[str, str]] = set()
    with rejects.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            key = (row["split"], row["reason"])
            if row["reason"] != "not_drawn" and key not in seen:
                seen.add(key)
                yield {name: str(row[name]) for name in ("split", "reason", "origin")}
