"""Whether a model can be the one that is named, as far as that is known without asking a hub.

In: what stands behind `--model`. Out: nothing, or an error in one line.
"""

import re
from pathlib import Path

from shed.common.errors import ShedError
from shed.common.spelling import did_you_mean
from shed.models.loading import PACKAGED
from shed.models.manifests import ModelKind, check_files

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
KIND: ModelKind = "language model"


def check_name(name: str) -> None:
    """Refuse what cannot be a language model: a packaged one that there is not, a folder without one, or no name at all.

    Raises:
        ShedError: it is so.
    """
    known = [own for own, packaged in PACKAGED.items() if packaged.kind == KIND]
    path = Path(name).expanduser()
    if path.is_dir():
        try:
            check_files(name, [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()], KIND)
        except ShedError as error:
            raise ShedError(f"--model: {error}") from error
    elif name.startswith("packaged/"):
        if name not in known:
            hint = did_you_mean(name, known)
            raise ShedError(f"--model: no packaged {KIND} is called {name!r}; {hint}there is {', '.join(known)}")
    elif path.is_file():
        raise ShedError(f"--model: {name} is a file; name the folder that a model was saved to with save_pretrained")
    elif path.is_absolute() or name.startswith((".", "~")) or not HUB_ID.fullmatch(name):
        raise ShedError(
            f"--model: {name}: no such folder, and no id of a model of the Hugging Face Hub (OWNER/NAME); name a folder that a "
            f"model was saved to, an id, or {', '.join(known)}"
        )
