"""Whether the Hub has a newer commit of a model than the one that this project stays at.

In: a project's folder, whose manifests name the commits. Out: notes. Where the Hub does not answer, there is nothing to say.
"""

from collections.abc import Iterator
from pathlib import Path

from shed.cli.tidying.findings import Finding
from shed.common.atomic_io import read_json

MANIFESTS = {"data/model.json": "model", "data/embedder.json": "embedder"}
PATIENCE = 5.0  # seconds for the Hub's answer


def find_newer_revisions(root: Path) -> Iterator[Finding]:
    """A note for each model of the Hub that has changed there since `fetch` first met it."""
    for path, kind in MANIFESTS.items():
        known = read_json(root / path) if (root / path).is_file() else {}
        name, own = known.get("name"), known.get("revision")
        newest = _newest(str(name)) if name and own else None
        if newest and newest != own:
            what = f"the Hub has a newer commit of the {kind} {name}: {newest}; this project stays at {own}"
            yield Finding(what, str(root / path), f"nothing; or remove {path}, and `shed run` takes the newest", wrong=False)


def _newest(name: str) -> str | None:
    import httpx2
    from huggingface_hub import model_info
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        return model_info(name, timeout=PATIENCE).sha
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx2.HTTPError, OSError):
        return None
