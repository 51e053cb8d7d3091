"""Settings of a `Selector`: the defaults of a new project, with a caller's changes, as the rooms below take them.

In: a params file or none, and changes by name. Out: `Params`, and the values that the rooms take made from them.
"""

import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.representer import RepresenterError

from shed.common.errors import ShedError
from shed.common.import_closure import ROOT
from shed.data.readers import ReaderSettings
from shed.data.records import Record
from shed.engine.regime import Regime
from shed.models.specs import EmbedderSpec, LoraSettings, ModelSpec
from shed.params import Params, Section, load_params
from shed.selection.given.files import given_file, read_given
from shed.selection.given.order import Order, order_of
from shed.selection.sampling import Floor, Size, budget

DEFAULTS = ROOT / "shed/cli/making/template/params.yaml"
ALL_ROWS = {"data": {"pool_rows": None, "dev_rows": None, "test_rows": None}}  # what was passed, unless the caller says less
NOT_USED: Mapping[str, Sequence[str]] = {  # sections, or these settings of one
    "data": ("pool", "dev", "test", "faults"),
    "fidelity": (),
    "export": (),
    "tracking": (),
    "judge": (),
}


def read_settings(path: Path | str | None, changes: Mapping[str, Any]) -> Params:
    """The settings of a params file, or without one those of a new project with all rows that are passed; then the changes.

    Args:
        changes: by dotted name (`{"sample.rows": 200}`) or by section (`{"sample": {"rows": 200}}`).

    Raises:
        ShedError: one line with the first wrong name or value, or a setting that only the pipeline uses.
    """
    for name, value in _by_path(changes):
        section, _, rest = name.partition(".")
        unused = NOT_USED.get(section)
        if unused is not None and (not unused or rest.partition(".")[0] in unused):
            raise ShedError(f"{name} is {value!r}, which only the pipeline uses; leave it out")
    base = load_params(DEFAULTS if path is None else path)
    params = changed(base, [*([ALL_ROWS] if path is None else []), changes])
    if params.data.faults.share:
        raise ShedError(f"{path}: asks for damaged records, which only the pipeline makes; set their share to 0")
    return params


def changed(params: Params, changes: Sequence[Mapping[str, Any]]) -> Params:
    """The settings after these changes, one after the other, checked as a params file is.

    Raises:
        ShedError: one line with the first wrong name or value.
    """
    raw = params.model_dump()
    for own in changes:
        for name, value in _by_path(own):
            _set(raw, name.split("."), value)
    text = StringIO()
    try:
        YAML(typ="safe", pure=True).dump(raw, text)
    except RepresenterError as error:
        said = " ".join(str(error).split())
        raise ShedError(f"a setting is no text, number, list or mapping of these: {said}") from error
    with TemporaryDirectory() as folder:  # what checks settings reads them from a file
        path = Path(folder, "settings.yaml")
        path.write_text(text.getvalue(), encoding="utf-8")
        try:
            return load_params(path)
        except ShedError as error:
            raise ShedError(str(error).removeprefix(f"{path}: ")) from error


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


def reader_settings(params: Params) -> ReaderSettings:
    """How rows are read."""
    own = params.data.reading
    return ReaderSettings(own.form, own.columns, own.list_key, own.ignore, own.train_on, own.max_row_mb)


def model_spec(params: Params, revision: str | None) -> ModelSpec:
    """The base model and the form in which it reads records."""
    return ModelSpec(params.model.name, params.model.prompt, params.model.max_tokens, revision)


def embedder_spec(params: Params, revision: str | None) -> EmbedderSpec:
    """The embedder and what it reads of a record."""
    return EmbedderSpec(params.embed.model, params.embed.batch_size, params.embed.of, revision)


def scoring_regime(params: Params, seed: int) -> Regime:
    """The cheap training in which utilities are measured."""
    own = params.regime
    lora = LoraSettings(own.r, own.alpha, own.modules, own.depth)
    return Regime(lora, own.optimizer, own.lr, own.momentum, own.batch_size, own.epochs, own.schedule, own.warmup, seed)


def size_of(params: Params, table: pd.DataFrame) -> Size:
    """How much a selection from these candidates takes."""
    own = params.sample
    there = int(Size(0, own.budget).costs(table).sum())
    return budget(there, own.fraction, own.amount, own.budget)


def floor_of(params: Params) -> Floor | None:
    """The part of the budget that is shared out evenly."""
    own = params.sample
    return None if own.balance == "none" else Floor(own.balance, own.floor)


def given_order(params: Params, pool: Sequence[Record]) -> Order:
    """The order of a selection that was made elsewhere, from its file; how it was taken is told on stderr."""
    order = order_of(read_given(given_file(str(params.sample.given)), reader_settings(params)), pool)
    print(f"shed: {order.told()}", file=sys.stderr)
    return order
