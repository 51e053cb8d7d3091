"""Embeddings in a file, made block by block, in this process or by workers, with the same numbers.

In: records, an embedder, an engine or none. Out: an .npy file of the rows that `embed` gives, and its counts. A block that was
finished is kept, so that a run that was stopped goes on from there.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shed.common.arrays import join_arrays
from shed.common.atomic_io import read_array, write_array
from shed.common.import_closure import code_digest
from shed.common.progress import track
from shed.common.sealed import seal, take
from shed.data.records import Record
from shed.embedding.embedder import Embedder
from shed.models.specs import EmbedderSpec
from shed.workers.contract import Engine
from shed.workers.sameness import check_files, files_of

BLOCK = 10_000  # records; what is embedded again at most when a run was stopped


def embed_to(
    path: Path | str,
    records: Sequence[Record],
    spec: EmbedderSpec,
    manifest: Mapping[str, Any],
    kept: Path,
    engine: Engine | None = None,
) -> dict[str, float | None]:
    """Write what `embed` makes of a record or more to an .npy file, with memory for one block of them; the counts.

    Records are sorted by length in their block. Up to `BLOCK` records have the very vectors that `embed` gives them.

    Args:
        manifest: all that identifies the embedder, as plain values.
        kept: a folder for blocks that are finished, which is emptied of them at the end.
        engine: whose workers make blocks, several at once; None: this process does.

    Raises:
        ShedError: see `embed`; or workers cannot be had, or are not alike.
    """
    asked = {"embedder": dict(manifest), "of": spec.of, "batch_size": spec.batch_size, "code": code_digest(__name__)}
    own = kept / _digest(json.dumps(asked, sort_keys=True))
    starts = range(0, len(records), BLOCK)
    if engine is not None and len(starts) > 1:
        _give_out(engine, own, records, spec)
    embedder = Embedder(spec)
    bar = len(starts) == 1 and sys.stderr.isatty()  # of several blocks, the bar shows blocks
    parts, tokens = [], []
    for start in track(starts, "embedding", "block") if len(starts) > 1 else starts:
        block = records[start : start + BLOCK]
        files = _kept(own, block) or _keep(own, block, *embedder.embed(block, bar))
        parts.append(files[0])
        tokens.append(read_array(files[1]))
    join_arrays(path, parts)
    shutil.rmtree(own)
    return embedder.counts(np.concatenate(tokens))


def _give_out(engine: Engine, own: Path, records: Sequence[Record], spec: EmbedderSpec) -> None:
    """Have the blocks that are missing made by workers, and keep each as soon as it is done."""

    def blocks(starts: Sequence[int]) -> Iterator[Sequence[Record]]:
        return (records[start : start + BLOCK] for start in starts)

    starts = range(0, len(records), BLOCK)
    lacking = [start for start, block in zip(starts, blocks(starts), strict=True) if not _kept(own, block)]
    if not lacking:
        return
    with engine.holding(LoadEmbedder.of(spec)) as workers:
        made = workers.each("embed", ((block,) for block in blocks(lacking)))
        for at, arrays in track(made, "embedding", "block", len(lacking)):
            _keep(own, records[lacking[at] : lacking[at] + BLOCK], *arrays)


@dataclass(frozen=True)
class LoadEmbedder:
    """How a worker comes to hold an embedder.

    Attributes:
        files: as `files_of` has them.
    """

    spec: EmbedderSpec
    files: Mapping[str, str] | None
    code: Sequence[str] = ("shed.embedding.embedder",)

    @classmethod
    def of(cls, spec: EmbedderSpec) -> "LoadEmbedder":
        """The embedder as it is here."""
        return cls(spec, files_of(spec.name, spec.name, "embedder"))

    def load(self) -> "HeldEmbedder":
        """The embedder, loaded.

        Raises:
            ShedError: it is another one than where work is given out.
        """
        check_files(self.spec.name, self.spec.name, self.files, "embedder")
        return HeldEmbedder(self.spec)


class HeldEmbedder:
    """An embedder in a worker."""

    def __init__(self, spec: EmbedderSpec) -> None:
        self._embedder = Embedder(spec)

    def facts(self) -> str:
        """What must be the same in all workers: the kind of device."""
        return self._embedder.device

    def embed(self, block: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
        """As `Embedder.embed`."""
        return self._embedder.embed(block, False)


def _files(own: Path, block: Sequence[Record]) -> list[Path]:
    name = _digest("\n".join(record.id for record in block))
    return [own / f"{name}{what}.npy" for what in ("", "-tokens")]


def _kept(own: Path, block: Sequence[Record]) -> list[Path]:
    """The files of a block that was finished, its vectors and its tokens; none if one of them is missing or damaged."""
    files = _files(own, block)
    found = [kept for file in files if (kept := take(file))]
    return found if len(found) == len(files) else []


def _keep(own: Path, block: Sequence[Record], *arrays: np.ndarray) -> list[Path]:
    kept = []
    for file, array in zip(_files(own, block), arrays, strict=True):
        write_array(file, array)
        kept.append(seal(file))
    return kept


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
