"""`shed init`: a project of the user's own, in git and DVC, with the installed pipeline and params that suit the data.

In: a folder, and where the data is. Out: the folder, ready for `shed run` or `dvc repro`. All is checked before anything is
written.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from shed.cli.making.folder import check_free, make_project, params_text, path_from, repository_of
from shed.cli.making.model_name import check_name
from shed.cli.making.sizing.look import Look, look
from shed.cli.making.sizing.tokens import counter
from shed.cli.sharing.workflow import FILE, REQUIREMENTS, check_no_workflow, is_known_elsewhere, write_workflow
from shed.cli.terminal import Json, about, counted, show_result, tell
from shed.common.errors import ShedError
from shed.data.forms.found import check_columns
from shed.data.readers import ReaderSettings
from shed.data.splitting.split_off import MOST, SHARE

AS_IT_STANDS = ReaderSettings(form=None, columns=None, list_key=None, ignore=(), train_on="all", max_row_mb=16.0)
Columns = Annotated[Sequence[str], Parameter(name="--column", negative="", show_default=False)]
Keys = Annotated[Sequence[str], Parameter(name="--ignore", negative="", show_default=False)]
Values = dict[str, tuple[Any, str]]
SPLITS = ("pool", "dev", "test")
BY_LENGTH = {"sample.budget", "rate.per"}  # params that follow the length of responses, in a trial, too
HERE = "the model's speed on this machine when nothing else runs"
ELSEWHERE = "the speed of the packaged model on another machine, with as many cores as this one"
UNKNOWN = 10_000_000  # rows that a pool of unknown size is taken to have
OPTIONS = {  # how an option sets what would mend an error, by `ShedError.setting`
    "columns": " (as in --column prompt=my_question)",
    "ignored keys": " (as in --ignore KEY; --column names a column)",
}
SMALL = 3  # of its time; a project that takes less by a speed that was measured elsewhere is not timed here

if TYPE_CHECKING:
    Where = str
else:
    Where = str | Path  # a text, for which a shell completes files


def init(
    folder: Path,
    *,
    pool: Where | None = None,
    dev: Where | None = None,
    test: Where | None = None,
    model: Where | None = None,
    prompt: Literal["plain", "chat"] | None = None,
    column: Columns = (),
    ignore: Keys = (),
    demo: Annotated[bool, Parameter(negative="")] = False,
    trial: Annotated[bool, Parameter(negative="")] = False,
    minutes: Annotated[float, Parameter(validator=Number(gt=0))] = 30,
    workflow: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> None:
    """Make a project: a folder with the pipeline, for git and DVC.

    Data may be a JSON, JSONL, CSV or Parquet file, a folder, a glob, a recipe (.yaml), or a dataset of the Hugging
    Face Hub at one commit, hf://datasets/OWNER/NAME@COMMIT?split=train. It stays where it is.

    Params are sized so that the first selected rows are there in about half an hour, and a verdict in about two. For more of
    the pool, or less, give --minutes, or change data.pool_rows, rate.screen and sample.fraction in params.yaml.

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
        minutes: about how long the first selected rows may take on this machine; all stages may take four times as long.
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
    sized, forecast = _sized(given, looks, model, prompt, trial, minutes) if looks or trial else ({}, None)
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
        "forecast": forecast,
    }

    def draw(console: Console) -> None:
        for split, own in looks.items():
            console.print(f"{split}: {_said(own)}")
        for split in SPLITS[1:]:
            if not demo and split not in looks:
                console.print(f"{split}: some of the pool's records, which are split off for it (data.{split}: null)")
        for key, (value, why) in sized.items():
            console.print(f"{key}: {json.dumps(value)}  ({why})")
        if forecast:
            console.print(_forecast(forecast))
        console.print(f"The project is in {root}.{'' if committed else ' Commit it: `dvc exp run` needs a commit.'}")
        if workflow:
            console.print(f"{FILE} comments on pull requests; what it installs is in {REQUIREMENTS}.")
            if not is_known_elsewhere():
                console.print(f"The package came from a folder of this machine: name its address in {REQUIREMENTS}.")
        if trial:
            console.print("A trial shows what comes out, and its numbers say little: for a result, make a project without it.")
        console.print("Next, in this folder: `shed check`, `shed plan`, then `shed run` (or `dvc repro`).")

    show_result(found, as_json, draw)


def _sized(
    given: Mapping[str, str | None],
    looks: Mapping[str, Look],
    model: str | None,
    prompt: str | None,
    trial: bool,
    minutes: float,
) -> tuple[Values, dict[str, Any] | None]:
    """The params that follow from the data and this machine, and what the project then costs."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # no bars of a library that loads the model; read when tqdm is imported
    from shed.cli.making.sizing.costs import Costs, defaults, reference, timed
    from shed.cli.making.sizing.suited import sized_so, suited
    from shed.cli.making.sizing.trial import trial as sizes_of_trial

    if not looks:
        return sizes_of_trial(None, looks), None
    own = {"model.name": model} if model else {}
    params = defaults({"data.dev_rows": None} | own | ({"model.prompt": prompt} if prompt else {}))
    rows = looks["pool"].rows
    there = UNKNOWN if rows is None else rows - sum(where is None for where in given.values()) * min(MOST, rows // SHARE)
    costs, whose = Costs(looks, params, reference(os.cpu_count() or 1), there), ELSEWHERE
    sizes = suited(costs, minutes)
    if not trial and (model is not None or SMALL * sizes.first > 60 * minutes):  # another model may be a hundred times as slow
        tell("timing the model ...")
        if (speed := timed(params, looks)) is not None:
            whose, costs = HERE, replace(costs, speed=speed)
            sizes = suited(costs, minutes)
    values = sizes.values
    if trial:
        values = {key: one for key, one in values.items() if key in BY_LENGTH} | sizes_of_trial(looks["pool"], looks)
        sizes = sized_so(costs, values)
    seconds = {"first_selected_rows": round(sizes.first), "all_stages": round(sizes.whole)}
    return values, seconds | {"minutes": minutes, "speed": whose}


def _forecast(forecast: Mapping[str, Any]) -> str:
    first, whole = (about(forecast[name]) for name in ("first_selected_rows", "all_stages"))
    return (
        f"The first selected rows take about {first} (`shed run sample`), all stages {whole}, without downloads, by "
        f"{forecast['speed']}; `shed plan` tells each stage."
    )


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
                f"{where}: none of the first {counted(found.unreadable, 'row')} can be read, the first: {found.reason}",
                found.setting,
            )
        return found
    except ShedError as error:
        hint = OPTIONS.get(error.setting or "", "")
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
