"""`shed upgrade`: a project's pipeline as the installed version has it.

In: a project, and the installed package. Out: its `dvc.yaml`, params and digests, written anew; what that reruns is told.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from shed.cli.making.folder import code_digests, installed, params_text, write_pipeline
from shed.cli.making.template import CODE, PIPELINE, TEMPLATE
from shed.cli.project import find_project
from shed.cli.terminal import Json, show_result
from shed.common.atomic_io import read_json, write_text
from shed.common.errors import ShedError
from shed.data.formats.yaml_text import read_yaml


def upgrade(*, as_json: Json = False) -> None:
    """Bring the pipeline up to the installed version; only stages whose code has changed run again.

    New params get their default values; params that are no more are left out. Both are told.
    """
    root = find_project().root
    if not (root / CODE).is_file():
        raise ShedError(f"{root} has no {CODE}: its dvc.yaml was not written by `shed init`, so there is nothing to upgrade")
    before = read_json(root / CODE)
    after = code_digests((TEMPLATE / PIPELINE).read_text(encoding="utf-8"))
    changed = [name for name, own in after["stages"].items() if before["stages"].get(name) != own]
    users, ours = (read_yaml(path / "params.yaml", "file of params", "dvc") for path in (root, TEMPLATE))
    own, default = _flat(users, ours), _flat(ours, ours)
    added, gone = [key for key in default if key not in own], [key for key in own if key not in default]
    if added or gone:
        write_text(root / "params.yaml", params_text({key: value for key, value in own.items() if key in default}))
    write_pipeline(root)
    found = {"from": before["shed"], "to": installed(), "stages": changed, "params_added": added, "params_gone": gone}

    def draw(console: Console) -> None:
        console.print(f"From {before['shed']} to {installed()}.")
        console.print(f"Stages whose code has changed: {', '.join(changed) or 'none'}.")
        for key in added:
            console.print(f"New param, at its default: {key}: {default[key]}")
        for key in gone:
            console.print(f"No longer a param: {key} (was {own[key]})")
        if changed:
            console.print("Next: `shed plan` tells what they cost, `shed run` runs them.")

    show_result(found, as_json, draw)


def _flat(section: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """The dotted names of params, and their values; a mapping is itself a value (`columns`, dev tasks) where `like` has one."""
    return dict(_entries(section, like, ""))


def _entries(section: Mapping[str, Any], like: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        ours = like.get(key, {})
        if isinstance(value, Mapping) and isinstance(ours, Mapping):
            yield from _entries(value, ours, f"{prefix}{key}.")
        else:
            yield prefix + key, value
