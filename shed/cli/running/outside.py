"""What `fetch` would find changed outside: the user's files, and a model in a local folder.

In: params, in the project's folder. Out: the files that would be written anew, and why.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed.common.atomic_io import read_json
from shed.params import Params
from stages.shared.paths import located

if TYPE_CHECKING:
    from shed.models.manifests import ModelKind


def new_inputs(params: Params) -> dict[str, str]:
    """Of those that are there; for one that is not, DVC says so.

    Raises:
        ShedError: a file that params name is missing.
    """
    known = {path: read_json(path) for path in PATHS if Path(path).is_file()}
    return {path: why for path, before in known.items() if (why := PATHS[path](params, before))}


def _inputs(params: Params, before: Any) -> str | None:
    from shed.data.splits import digests

    data = params.data
    names = {"pool": data.pool, "dev": data.dev, "test": data.test}
    now = {split: digests(where, located) for split, where in names.items() if where is not None}
    other = [split for split in names if now.get(split) != before.get(split)]
    return f"rows of {', '.join(other)} modified" if other else None


def _given(params: Params, before: Any) -> str | None:
    from shed.data.splits import digest
    from shed.selection.given.files import given_file, read_beside

    now: dict[str, str] = {}
    if params.sampler == "given" and params.sample.given is not None:
        path = given_file(located(params.sample.given))
        now = {"sha256": digest(path)} | {own.name: digest(own) for own in read_beside(path)}
    return "the given selection modified" if now != before else None


def _model(name: str, before: Any, kind: "ModelKind") -> str | None:
    from shed.models.loading import manifest

    if before.get("name") != name:
        return f"another {kind}"
    where = located(name)
    if Path(where).expanduser().is_dir() and manifest(where, kind, before) | {"name": name} != before:
        return f"the {kind}'s files modified"
    return None


PATHS: dict[str, Callable[[Params, Any], str | None]] = {
    "data/inputs.json": _inputs,
    "data/given.json": _given,
    "data/model.json": lambda params, before: _model(params.model.name, before, "language model"),
    "data/embedder.json": lambda params, before: _model(params.embed.model, before, "embedder"),
}
