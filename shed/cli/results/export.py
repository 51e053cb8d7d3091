"""`shed export`: the selected rows in a form that is wanted once, without a change of params.

In: the selection. Out: one file of JSON lines or Parquet, with the rows as the stage `export` would write them.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from shed.cli.project import Project, find_project
from shed.cli.results.texts import shown_path
from shed.cli.terminal import Json, counted, show_result
from shed.common.atomic_io import read_json, replacing, write_json
from shed.common.errors import ShedError
from shed.data.exports.forms import Form

FOLDER = "data/export"  # of the stage
SUFFIXES = (".jsonl", ".parquet")
MADE = ".shed/exports.json"  # by path, the SHA-256 of each file that was written elsewhere


def export(
    form: Form,
    /,
    *,
    to: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> None:
    """Write the selected rows in another form.

    Args:
        form: What a row looks like.
        to: The file to write, FILE.jsonl or FILE.parquet; by default the one of the stage export, where it has the form.
        force: Overwrite the file, whoever made it.
    """
    project = find_project()
    target = _target(project, form, to)
    _refuse_others(project, target, force)
    rows, left_out = write(project, form, target)
    if not target.is_relative_to(project.root / FOLDER):
        _remember(project, target)
    found = {"path": str(target), "form": form, "rows": rows, "left_out": left_out}

    def draw(console: Console) -> None:
        console.print(f"{counted(rows, 'row')} of the form {form}: {shown_path(project.root, str(target))}", soft_wrap=True)
        for reason, count in left_out.items():
            console.print(
                f"{counted(count, 'row is', 'rows are')} left out, since the form cannot hold them: {reason}", soft_wrap=True
            )

    show_result(found, as_json, draw)


def write(project: Project, form: Form, target: Path) -> tuple[int, dict[str, int]]:
    """Write the file; how many rows it has, and how many were left out by reason.

    Raises:
        ShedError: there is no selection, or the form can hold none of its rows.
    """
    import pandas as pd

    from shed.data.exports.card import CardFacts
    from shed.data.exports.folder import export as write_folder
    from shed.data.exports.folder import export_rows
    from shed.data.records import read_records
    from stages.export import trainer_settings

    selection = pd.read_parquet(project.path("data/selection.parquet"))
    pool = read_records(project.path("data/prepared/pool.jsonl"))
    ratings = project.root / "data/ratings.parquet"
    if ratings.is_file():
        selection = selection.merge(pd.read_parquet(ratings), on="id", how="left", validate="one_to_one")
    if missing := set(selection["id"]) - {record.id for record in pool}:
        rows = counted(len(missing), "selected row is", "selected rows are")
        raise ShedError(f"{rows} not in the prepared pool, which was made anew; `shed run` selects again")
    params = project.params
    facts = CardFacts(name="", about="", pool_rows=len(pool), licences={})
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "export"
        counts = write_folder(
            export_rows(pool, selection), made, [form], facts, trainer_settings(params), params.data.reading.train_on
        )[form]
        left_out = dict(counts.left_out)
        if not counts.rows:
            raise ShedError(
                f"the form {form} can hold none of the {len(selection):,} rows: {', '.join(left_out)}; take another form"
            )
        with replacing(target) as temporary:
            shutil.copyfile(made / form / f"train{target.suffix}", temporary)
    return counts.rows, left_out


def _target(project: Project, form: Form, to: Path | None) -> Path:
    """Where to write.

    Raises:
        ShedError: the name says no format that is known, or there is no default.
    """
    if to is None:
        if form not in project.params.export.forms:
            raise ShedError(
                f"the stage export does not write {form}, since export.forms in params.yaml does not "
                "name it; say where to by --to FILE.jsonl"
            )
        return project.root / FOLDER / form / "train.jsonl"
    if to.suffix not in SUFFIXES:
        raise ShedError(f"--to {to}: the name must end with {' or '.join(SUFFIXES)}")
    return to.expanduser().absolute()


def _refuse_others(project: Project, target: Path, force: bool) -> None:
    """Refuse to overwrite what this command or the stage did not write, or what was changed since.

    Raises:
        ShedError: it would.
    """
    from shed.data.splits import digest

    if force or not target.exists() or target.parent.parent == project.root / FOLDER:
        return
    if target.is_dir():
        raise ShedError(f"{target} is a folder; name a file")
    made = project.root / MADE
    if not made.is_file() or read_json(made).get(str(target)) != digest(target):
        raise ShedError(
            f"{target} is there, and `shed export` did not write it as it is; name another file, or overwrite it by --force"
        )


def _remember(project: Project, target: Path) -> None:
    from shed.data.splits import digest

    made = project.root / MADE
    write_json(made, (read_json(made) if made.is_file() else {}) | {str(target): digest(target)})
