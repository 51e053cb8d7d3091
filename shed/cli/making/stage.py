"""`shed stage`: one stage of the pipeline, as `dvc.yaml` of a project calls it."""

import runpy
from importlib.util import find_spec

from shed.common.errors import ShedError


def stage(name: str, /) -> None:
    """Run a stage in this folder; `dvc repro` does, in their order.

    Args:
        name: the stage's name in dvc.yaml.
    """
    module = f"stages.{name}"
    if not name.isidentifier() or find_spec(module) is None:
        raise ShedError(f"there is no stage {name!r}; dvc.yaml has their names. Another version may have it: `shed upgrade`")
    runpy.run_module(module, run_name="__main__", alter_sys=True)
