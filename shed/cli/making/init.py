"""`shed init`: a project of the user's own, in git and DVC, with the installed pipeline and params that suit the data.

In: a folder, and where the data is. Out: the folder, ready for `shed run` or `dvc repro`. All is checked before anything is
written.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from shed.cli.making.folder import check_free, make_project, params_text, path_from, repository_of
from shed.cli.making.model_name import check_name
from shed.cli.making.sizes import Look, look, suited
from shed.cli.making.sizes import trial as sizes_of_trial
from shed.cli.making.tokens import counter
from shed.cli.sharing.workflow import FILE, REQUIREMENTS, check_no_workflow, is_known_elsewhere, write_workflow
from shed.cli.terminal import Json, counted, show_result
from shed.common.errors import ShedError
from shed.data.forms.found import check_columns
from shed.data.readers import ReaderSettings

AS_IT_STANDS = ReaderSettings(form=None, columns=None, list_key=None, ignore=(), train_on="all", max_row_mb=16.0)
Columns = Annotated[Sequence[str], Parameter(name="--column", negative="", show_default=False)]
Keys = Annotated[Sequence[str], Parameter(name="--ignore", negative="", show_default=False)]
SPLITS = ("pool", "dev", "test")
BY_LENGTH = {"sample.budget", "rate.per"}  # params that follow the length of responses, in a trial, too


def init(
    folder: Path,
    *,
    pool: str | None = None,
    dev: str | None = None,
    test: str | None = None,
    model: str | None = None,
    prompt: Literal["plain", "chat"] | None = None,
    column: Columns = (),
    ignore: Keys = (),
    demo: Annotated[bool, Parameter(negative="")] = False,
    trial: Annotated[bool, Parameter(negative="")] = False,
    workflow: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> None:
    """Make a project: a folder with the pipeline, for git and DVC.

    Data may be a JSON, JSONL, CSV or Parquet file, a folder, a glob, a recipe (.yaml), or a dataset of the Hugging
    Face Hub at one commit, hf://datasets/OWNER/NAME@COMMIT?split=train. It stays where it is.

    Args:
        folder: the project's folder; it is made if it is not there.
        pool: the records to select from.
        dev: records that define what is useful. Without them, some of the pool are split off for it.
        test: records to measure on, which play no other part. Without them, some of the pool are split off for it.
        model: the model to tune: a folder, an id of the Hugging Face Hub, or the small packaged one (the default).
        column: a column of yours by our name, as prompt=my_question; once for each. It holds for all three files.
        ignore: a key of your rows that says nothing about what is tuned; once for each, `*` for all that are not used.
        prompt: how records become text: plain (Question and Answer), or chat (the model's own template).
        demo: the packaged data instead of your own.
        trial: params of a small run, to see what comes out; its numbers say little.
        workflow: a workflow for GitHub, too, which comments on each pull request what it does to the selection.
    """
    given = {"pool": pool, "dev": dev, "test": test}
    if demo and any(given.values()):
        raise ShedError("--demo brings its own data; leave out --pool, --dev and --test")
    if not demo and pool is None:
        raise ShedError("name the records to select from with --pool FILE; or try --demo, which has its own")
    root = folder.expanduser().resolve()
    check_free(root)
    if workflow:
        check_no_workflow(repository_of(root) or root)
    if model is not None:
        check_name(model)
    settings = replace(AS_IT_STANDS, columns=_columns(column), ignore=tuple(ignore))
    count = counter(model)
    looks = {
        split: _look(split, where, settings, count, prompt or "plain") for split, where in given.items() if where is not None
    }
    sized = suited(looks["pool"], split_off=sum(where is None for where in given.values())) if looks else {}
    if trial:
        sized = {key: own for key, own in sized.items() if key in BY_LENGTH} | sizes_of_trial(looks.get("pool"), looks)
    changes: dict[str, Any] = {}
    if not demo:
        changes |= {f"data.{split}": path_from(root, where) if where else None for split, where in given.items()}
        changes["data.dev_rows"] = None
    changes |= {key: value for key, (value, _) in sized.items()}
    changes |= {"data.reading.columns": settings.columns} if column else {}
    changes |= {"data.reading.ignore": list(ignore)} if ignore else {}
    changes |= {"model.name": path_from(root, model)} if model else {}
    changes |= {"model.prompt": prompt} if prompt else {}
    committed = make_project(root, params_text(changes), demo, write_workflow if workflow else None)
    found = {
        "folder": str(root),
        "committed": committed,
        "workflow": FILE if workflow else None,
        "data": {split: _found(own) for split, own in looks.items()},
        "params": {key: {"value": value, "why": why} for key, (value, why) in sized.items()},
    }

    def draw(console: Console) -> None:
        for split, own in looks.items():
            console.print(f"{split}: {_said(own)}")
        for split in SPLITS[1:]:
            if not demo and split not in looks:
                console.print(f"{split}: some of the pool's records, which are split off for it (data.{split}: null)")
        for key, (value, why) in sized.items():
            console.print(f"{key}: {json.dumps(value)}  ({why})")
        console.print(f"The project is in {root}.{'' if committed else ' Commit it: `dvc exp run` needs a commit.'}")
        if workflow:
            console.print(f"{FILE} comments on pull requests; what it installs is in {REQUIREMENTS}.")
            if not is_known_elsewhere():
                console.print(f"The package came from a folder of this machine: name its address in {REQUIREMENTS}.")
        if trial:
            console.print("A trial shows what comes out, and its numbers say little: for a result, make a project without it.")
        console.print("Next, in this folder: `shed check`, `shed plan`, then `shed run` (or `dvc repro`).")

    show_result(found, as_json, draw)


def _columns(pairs: Sequence[str]) -> dict[str, str] | None:
    """The user's columns by our names."""
    if not pairs:
        return None
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(found.values()):
        raise ShedError(f"--column {' --column '.join(pairs)}: write NAME=COLUMN, as prompt=my_question")
    try:
        return dict(check_columns(found) or {})
    except ValueError as error:
        raise ShedError(f"--column: {error}") from error


def _look(split: str, where: str, settings: ReaderSettings, count: Callable[[str], float], form: str) -> Look:
    """What a split holds; an error says which option it was named by."""
    try:
        found = look(where, settings, split, count, form)
        if not found.forms:
            raise ShedError(
                f"{where}: none of the first {counted(found.unreadable, 'row')} can be read, the first: {found.reason}"
            )
        return found
    except ShedError as error:
        hint = "; here: --column prompt=my_question --column response=my_reply" if error.setting == "columns" else ""
        raise ShedError(f"--{split}: {error}{hint}") from error


def _found(own: Look) -> dict[str, Any]:
    return {"rows": own.rows, "exact": own.exact, "tokens": round(own.tokens), "forms": own.forms, "unreadable": own.unreadable}


def _said(own: Look) -> str:
    """ "about 50,000 rows of the form alpaca, of about 180 tokens; 3 of the first 2,000 cannot be read: …" """
    about = "" if own.exact else "about "
    rows = "rows" if own.rows is None else about + counted(own.rows, "row")
    forms = f" of the form {', '.join(own.forms)}" if own.forms else ""
    bad = f"; {own.unreadable:,} of those looked at cannot be read, the first: {own.reason}" if own.unreadable else ""
    return f"{rows}{forms}, of about {counted(round(own.tokens), 'token')}{bad}"
