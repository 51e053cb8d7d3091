"""A workflow for GitHub: what a pull request does to the selection, as a comment on it.

In: a project's folder, in a git repository. Out: the workflow, where GitHub looks for it, and `requirements.txt`, which names
what it installs.
"""

import json
from importlib.metadata import PackageNotFoundError, distribution
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from shed.cli.making.folder import installed
from shed.cli.making.template import TEMPLATE, WORKFLOW
from shed.common.atomic_io import write_text
from shed.common.errors import ShedError

FILE = ".github/workflows/pull-request.yml"
REQUIREMENTS = "requirements.txt"
ABOUT = (
    "# What the workflow for pull requests installs. It needs an address that a machine of GitHub can read:\n"
    "#   shed-tuning @ git+https://HOST/OWNER/REPOSITORY@COMMIT\n"
    "# Add what reads DVC's remote, such as dvc-s3, and your trackers, as shed-tuning[wandb].\n"
)


def check_no_workflow(top: Path) -> None:
    """Refuse to write over a workflow.

    Raises:
        ShedError: there is one.
    """
    if (top / FILE).exists():
        raise ShedError(f"--workflow: {top / FILE} is there already; leave the option out, or move the file away")


def write_workflow(root: Path, top: Path) -> list[Path]:
    """Write the workflow, and the requirements if there are none; the files that were written.

    Args:
        root: the project's folder.
        top: that of its repository, in which GitHub looks for workflows.
    """
    text = (TEMPLATE / WORKFLOW).read_text(encoding="utf-8")
    if root != top:
        text = _in_folder(text, root.relative_to(top).as_posix())
    write_text(top / FILE, text)
    if (root / REQUIREMENTS).exists():
        return [top / FILE]
    write_text(root / REQUIREMENTS, f"{ABOUT}{requirement()}\n")
    return [top / FILE, root / REQUIREMENTS]


def requirement() -> str:
    """What pip installs this version of the package by: the commit that it came from, or its number."""
    try:
        own = json.loads(distribution("shed-tuning").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return "shed-tuning"
    if "vcs_info" in own:
        return f"shed-tuning @ {own['vcs_info']['vcs']}+{own['url']}@{own['vcs_info']['commit_id']}"
    return f"shed-tuning=={installed()}"


def is_known_elsewhere() -> bool:
    """Whether the package came from an address that another machine can read, and not from a folder of this one."""
    return " @ " in requirement()


def _in_folder(text: str, folder: str) -> str:
    """The workflow of a project that is in a folder of its repository."""
    yaml = YAML()  # ruamel's round trip: plain values, no objects of a file's choice
    yaml.preserve_quotes = True
    yaml.width = 128
    yaml.indent(mapping=2, sequence=4, offset=2)
    workflow: Any = yaml.load(text)
    job = workflow["jobs"]["compare"]
    job.insert(list(job).index("steps"), "defaults", {"run": {"working-directory": folder}})
    for step in job["steps"]:
        if path := step.get("with", {}).get("path"):
            step["with"]["path"] = f"{folder}/{path}"
            if "if" in step:
                step["if"] = step["if"].replace(path, f"{folder}/{path}")
    written = StringIO()
    yaml.dump(workflow, written)
    return written.getvalue()
