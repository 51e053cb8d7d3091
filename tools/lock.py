"""Write the locks: the versions of this very environment, each with the SHA-256 of every file that the index has of it.

In: the environment that runs this, in which the project is installed with the extra `dev`, and `uv` beside it (`make lock`
makes both). Out: requirements.lock and torch.lock, of which pip installs nothing that has another digest, on any platform.

Torch has a lock of its own, since it comes from more than one index: on machines without a GPU it is often a wheel of another
name with the same version, which pip would pass over for one whose digest the index tells. The digest of the wheel that pip
finds here is added, and those that the old lock has of the same version are kept.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from shed.common.atomic_io import write_text
from shed.common.import_closure import ROOT

LOCK, OF_TORCH = ROOT / "requirements.lock", ROOT / "torch.lock"
DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main() -> None:
    versions = [re.sub(r"\+\w+$", "", line) for line in _printed("-m", "pip", "freeze", "--exclude-editable").splitlines()]
    versions = [line for line in versions if not line.startswith("uv==")]
    with TemporaryDirectory() as folder:
        asked, found = Path(folder, "versions.txt"), Path(folder, "locked.txt")
        asked.write_text("\n".join(versions) + "\n", encoding="utf-8")
        words = ["--quiet", "--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--output-file", str(found)]
        _printed("-m", "uv", "pip", "compile", *words, str(asked))
        digests = by_requirement(found.read_text(encoding="utf-8"))
        (torch,) = (line for line in digests if line.startswith("torch=="))
        _printed("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder, torch)
        for wheel in Path(folder).glob("*.whl"):
            with wheel.open("rb") as file:
                digests[torch].append(hashlib.file_digest(file, "sha256").hexdigest())
    if OF_TORCH.exists():
        digests[torch] += by_requirement(OF_TORCH.read_text(encoding="utf-8")).get(torch, [])
    write_text(OF_TORCH, "".join(_lines({torch: digests.pop(torch)})))
    write_text(LOCK, "".join(_lines(digests)))


def by_requirement(text: str) -> dict[str, list[str]]:
    """The digests in a lock file, by name==version."""
    entries = text.replace("\\\n", " ").splitlines()
    return {entry.split()[0]: DIGEST.findall(entry) for entry in entries if entry and not entry.startswith("#")}


def _lines(digests: dict[str, list[str]]) -> Iterator[str]:
    for requirement, own in sorted(digests.items()):
        yield requirement + "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(set(own))) + "\n"


def _printed(*words: str) -> str:
    return subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
