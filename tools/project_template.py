"""What `shed init` puts into a new project, written from this project's own pipeline, params and recipes.

In: `dvc.yaml`, `params.yaml` and the files of the demo. Out: `shed/cli/making/template`, a part of the installed package. Its
stages are run by the installed command, and depend on the digest of their code, which stands in `pipeline.json`, instead of on
files of code.

`make deps` writes it; `python -m tools.project_template --check` only says what is stale, and exits with 1 if anything is.
"""

import argparse
import sys
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from shed.cli.making.template import CODE, DEMO, PIPELINE, PLOTS, TEMPLATE
from shed.common.import_closure import ROOT
from tools.dvc_deps import PROGRAM, is_code

HEADER = (
    "# The pipeline of shed, written by `shed init`; `shed upgrade` writes it anew. Each stage lists the params that it reads\n"
    f"# and what other stages have made for it. Its code is in the installed package: the digest in {CODE} stands for it.\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.project_template", description="Write what `shed init` puts into a new project."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and exit with 1 if a file is stale")
    check = parser.parse_args().check
    stale = {name: text for name, text in renewed().items() if not is_current(TEMPLATE / name, text)}
    for name, text in stale.items():
        print(f"{(TEMPLATE / name).relative_to(ROOT)}: {'stale: run make deps' if check else 'written'}")
        if not check:
            (TEMPLATE / name).parent.mkdir(parents=True, exist_ok=True)
            (TEMPLATE / name).write_text(text, encoding="utf-8")
    sys.exit(1 if check and stale else 0)


def is_current(path: Path, text: str) -> bool:
    """Whether the file holds this text."""
    return path.exists() and path.read_text(encoding="utf-8") == text


def renewed(root: Path = ROOT) -> dict[str, str]:
    """The text of each file of the template, as it should be, by its name there."""
    files = {"params.yaml": "params.yaml", **{name: name for name in DEMO}}
    files |= {f"{PLOTS}/{path.name}": f".dvc/plots/{path.name}" for path in sorted((root / ".dvc/plots").glob("*.json"))}
    return {name: (root / own).read_text(encoding="utf-8") for name, own in files.items()} | {PIPELINE: pipeline(root)}


def pipeline(root: Path = ROOT) -> str:
    """The text of `dvc.yaml` in a user's project."""
    yaml = YAML()  # ruamel's round trip: plain values, no objects of a file's choice
    yaml.width = 128
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load((root / "dvc.yaml").read_text(encoding="utf-8"))
    for name, stage in document["stages"].items():
        (module,) = PROGRAM.findall(stage["cmd"])
        stage["cmd"] = f"shed stage {module.removeprefix('stages.')}"
        others = [dep for dep in stage["deps"] if not is_code(dep, root, root)]
        stage["deps"][:] = others
        if not others:
            del stage["deps"]
        stage["params"] = CommentedSeq([*stage["params"], CommentedMap({CODE: CommentedSeq([f"stages.{name}"])})])
    text = StringIO()
    yaml.dump(document, text)
    return HEADER + text.getvalue()[text.getvalue().index("stages:\n") :]


if __name__ == "__main__":
    main()
