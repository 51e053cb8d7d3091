"""Settings of a `Selector`: the defaults of a new project, with a caller's changes.

In: a params file or none, and changes by name. Out: `Params`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RepresenterError

from shed.common.errors import ShedError
from shed.common.import_closure import ROOT
from shed.common.spelling import did_you_mean
from shed.params import Params, Section, load_params

DEFAULTS = ROOT / "shed/cli/making/template/params.yaml"
ALL_ROWS = {"data": {"pool_rows": None, "dev_rows": None, "test_rows": None}}  # what was passed, unless the caller says less
NOT_USED: Mapping[str, Sequence[str]] = {  # sections, or these settings of one
    "data": ("pool", "dev", "test", "faults"),
    "fidelity": (),
    "export": (),
    "tracking": (),
    "judge": (),
    "engine": (),
    "engine_address": (),
}
ARGUMENTS = ("pool", "dev", "test", "params", "folder")  # what a `Selector` takes beside settings
SIZES = {"sample.rows": "rows", "sample.tokens": "tokens", "sample.fraction": None}  # and what a budget then counts


def read_settings(path: Path | str | None, changes: Mapping[str, Any], dev_tasks: Mapping[str, Any] | None = None) -> Params:
    """The settings of a params file, or without one those of a new project with all rows that are passed; then the changes.

    Args:
        changes: by dotted name (`{"sample.rows": 200}`) or by section (`{"sample": {"rows": 200}}`). A size of the selection
            takes the place of the one that was set.
        dev_tasks: as `data.dev` has them, where dev is made of several tasks.

    Raises:
        ShedError: one line with the first wrong name or value, or a setting that only the pipeline uses.
    """
    _check_names(changes)
    asked = dict(_by_path(changes))
    for name, value in asked.items():
        section, _, rest = name.partition(".")
        unused = NOT_USED.get(section)
        if unused is not None and (not unused or rest.partition(".")[0] in unused):
            raise ShedError(f"{name} is {value!r}, which only the pipeline uses; leave it out")
    base = load_params(DEFAULTS if path is None else path)
    own = {} if dev_tasks is None else {"data.dev": dev_tasks}
    try:
        params = changed(base, [*([ALL_ROWS] if path is None else []), own, with_fits(asked) | _without_other_sizes(asked)])
    except ShedError as error:
        raise ShedError(re.sub(r"\bdata\.dev\b", "dev", str(error)) if own else str(error)) from None
    if params.data.faults.share:
        raise ShedError(f"{path}: asks for damaged records, which only the pipeline makes; set their share to 0")
    return params


def changed(params: Params, changes: Sequence[Mapping[str, Any]]) -> Params:
    """The settings after these changes, one after the other, checked as a params file is.

    Raises:
        ShedError: one line with the first wrong name or value.
    """
    raw = params.model_dump(by_alias=True)
    for own in changes:
        for name, value in _by_path(own):
            _set(raw, name.split("."), value)
    text, yaml = StringIO(), YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # dev tasks stay in the caller's order
    try:
        yaml.dump(raw, text)
    except RepresenterError as error:
        said = " ".join(str(error).split())
        raise ShedError(f"a setting is no text, number, list or mapping of these: {said}") from error
    with TemporaryDirectory() as folder:  # what checks settings reads them from a file
        path = Path(folder, "settings.yaml")
        path.write_text(text.getvalue(), encoding="utf-8")
        try:
            return load_params(path)
        except ShedError as error:
            raise ShedError(str(error).removeprefix(f"{path}: ")) from None


def with_fits(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes by dotted name; where records are to be left out by their prompt fits, these are to be found, too."""
    asked = dict(_by_path(changes))
    found = {} if asked.get("sample.exclude.prompt_fit") is None else {"quality.prompt_fit": True}
    return found | asked


def _check_names(changes: Mapping[str, Any]) -> None:
    """Refuse a name that is of no setting and of no section; its value may be all rows of a data set, and is not shown."""
    for name in changes:
        first = str(name).partition(".")[0]
        if first in Params.model_fields:
            continue
        within = [path for path in _paths(Params) if path.rpartition(".")[2] == first]
        meant = f"did you mean {' or '.join(map(repr, within))}? " if within else ""
        hint = did_you_mean(first, [*Params.model_fields, *ARGUMENTS]) or meant
        raise ShedError(f"Selector has no setting {first!r}; {hint}it has {', '.join(Params.model_fields)}")


def _paths(section: type[Section], within: str = "") -> Iterator[str]:
    """The dotted names of the settings of groups."""
    for name, field in section.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _paths(kind, f"{within}{name}.")
        elif within:
            yield f"{within}{name}"


def _without_other_sizes(asked: Mapping[str, Any]) -> dict[str, Any]:
    """For the size that a caller gives, null for the others, and a budget of what it counts, unless the caller names these."""
    given = [name for name in SIZES if asked.get(name) is not None]
    if not given:
        return {}
    found: dict[str, Any] = {name: None for name in SIZES if name not in asked}
    counted = SIZES[given[0]]
    return found if counted is None or "sample.budget" in asked else found | {"sample.budget": counted}


def _by_path(changes: Mapping[str, Any], within: str = "") -> list[tuple[str, Any]]:
    """Each changed setting by its dotted name; a mapping for a section holds settings of it, any other is a value."""
    found: list[tuple[str, Any]] = []
    for own, value in changes.items():
        name = f"{within}{own}"
        if isinstance(value, Mapping) and _is_section(name):
            found += _by_path(value, f"{name}.")
        else:
            found.append((name, dict(value) if isinstance(value, Mapping) else value))
    return found


def _is_section(name: str) -> bool:
    section: Any = Params
    for part in name.split("."):
        field = section.model_fields.get(part)
        section = field.annotation if field else None
        if not (isinstance(section, type) and issubclass(section, Section)):
            return False
    return True


def _set(raw: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *sections, last = path
    for section in sections:
        inner = raw.get(section)
        if not isinstance(inner, dict):
            inner = raw[section] = {}
        raw = inner
    raw[last] = value
