"""The prompt fits of records, whose prompts and responses are embedded into files.

In: records, an embedder, an engine or none. Out: a fit for each record. What a run has embedded that was stopped is used by the
next one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shed.common.arrays import map_array
from shed.common.import_closure import code_digest
from shed.common.sealed import seal, take
from shed.data.records import Record
from shed.embedding.blocks import embed_to
from shed.models.specs import EmbeddedPart, EmbedderSpec
from shed.selection.quality.prompt_fit import check_count, prompt_fit
from shed.workers.contract import Engine

PARTS: tuple[EmbeddedPart, EmbeddedPart] = ("prompt", "response")
BELOW = {"a_quarter": 0.25, "a_half": 0.5, "three_quarters": 0.75}


def prompt_fit_of(
    records: Sequence[Record],
    embedder: EmbedderSpec,
    manifest: Mapping[str, Any],
    kept: Path,
    seed: int,
    engine: Engine | None = None,
) -> np.ndarray:
    """(N,) float64, `prompt_fit` of records; the prompt is all that stands before the response.

    Args:
        manifest: all that identifies the embedder, as plain values.
        kept: a folder for vectors while they are needed; it is emptied of them at the end.
        engine: whose workers embed, several blocks at once; None: this process does.

    Raises:
        ShedError: there are fewer than two records, or the embedder cannot read them; or workers cannot be had.
    """
    check_count(len(records))
    ids = hashlib.sha256("\n".join(record.id for record in records).encode()).hexdigest()
    asked = [dict(manifest), embedder.batch_size, ids, code_digest("shed.embedding.blocks")]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    files = [
        _embedded(kept / f"{part}-{digest}.npy", records, replace(embedder, of=part), manifest, kept, engine) for part in PARTS
    ]
    prompts, responses = map(map_array, files)
    fits = prompt_fit(prompts, responses, [record.source for record in records], seed)
    for file in files:
        file.unlink(missing_ok=True)  # another run of the same records may have used them, too
    return fits


def summary(fits: np.ndarray) -> dict[str, float | int]:
    """How many records were judged, and which shares of them have fits below some numbers."""
    shares = {f"share_below_{name}": float((fits < below).mean()) for name, below in BELOW.items()} if len(fits) else {}
    return {"judged": len(fits), **shares}


def _embedded(
    path: Path, records: Sequence[Record], spec: EmbedderSpec, manifest: Mapping[str, Any], kept: Path, engine: Engine | None
) -> Path:
    """The file of the vectors, from a run that was stopped or made now."""
    found = take(path)
    if found is not None:
        return found
    embed_to(path, records, spec, manifest, kept, engine)
    return seal(path)
