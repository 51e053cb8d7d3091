"""How likely the untuned model finds responses after their own prompts, after others and after none.

In: a model, and groups of records that share a prompt. Out: for each record the losses of its response and of the end after
it. They are kept in a file by the records' ids, so that no pair is read twice, and a study that was stopped goes on.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from shed.common.atomic_io import write_table
from shed.common.progress import track
from shed.data.records import Message, Record
from shed.engine.texts import Text, attention_of, texts_of
from shed.models.encoding import Encoded
from shed.models.loading import LanguageModel, load_language_model
from shed.models.lora import decoder_of
from shed.models.specs import ModelSpec

BATCH_TOKENS, HEAD_TOKENS, SAVED_EVERY = 320, 128, 60.0  # tokens with padding, tokens, seconds
COLUMNS = ["nats", "end"]
Reading = tuple[Text, list[str]]  # a prompt with several responses, and the ids of its records


def with_response_of(record: Record, other: Record) -> Record:
    """The prompt of one record with the response of another."""
    return replace(record, messages=(*record.messages[:-1], other.messages[-1]), choices=(), answer=None, given="")


def without_prompt(record: Record) -> Record:
    """The response of a record after an empty prompt."""
    return replace(record, messages=(Message("user", ""), record.messages[-1]), choices=(), answer=None, given="")


class PairLosses:
    """Losses of prompts and responses, by the ids of records that are made of them.

    Args:
        spec: the model; it is loaded when there is something to read.
        kept: a Parquet file with `id`, `nats` per response token, and `end`, the nats of what closes the response.
    """

    def __init__(self, spec: ModelSpec, kept: Path) -> None:
        self._spec, self._kept = spec, kept
        self._loaded: LanguageModel | None = None
        self._found: dict[str, tuple[float, float]] = {}
        if kept.exists():
            rows = pd.read_parquet(kept, columns=["id", *COLUMNS]).itertuples(index=False, name=None)
            self._found = {id: (nats, end) for id, nats, end in rows}

    def read(self, groups: Iterable[Sequence[Record]]) -> None:
        """Read what is not known yet of groups of records that have one prompt each."""
        unknown = [list({one.id: one for one in group if one.id not in self._found}.values()) for group in groups]
        if not any(unknown):
            return
        saved = time.monotonic()
        for batch in track(_batches(self._texts(unknown)), "reading pairs", "batch"):
            self._found |= self._read(batch)
            if time.monotonic() - saved > SAVED_EVERY:
                self._save()
                saved = time.monotonic()
        self._save()

    def of(self, records: Iterable[Record]) -> np.ndarray:
        """(N, 2) float64: nats per response token, nats of the end.

        Raises:
            KeyError: a record has not been read.
        """
        return np.array([self._found[record.id] for record in records])

    def seconds(self, groups: Sequence[Sequence[Record]]) -> float:
        """The processor's seconds to read these groups, which are read again and not kept."""
        texts = self._texts(groups)
        before = time.process_time()
        for batch in _batches(texts):
            self._read(batch)
        return time.process_time() - before

    @property
    def _model(self) -> LanguageModel:
        if self._loaded is None:
            self._loaded = load_language_model(self._spec)
        return self._loaded

    def _texts(self, groups: Iterable[Sequence[Record]]) -> list[Reading]:
        encoder, texts = self._model.encoder, list[Reading]()
        for group in groups:
            encoded = [_response_alone(encoder.encode(record, end=True)) for record in group]
            ids = iter([record.id for record in group])
            texts += [(text, [next(ids) for _ in text.counts]) for text in texts_of(encoded, self._model.model.device)]
        return texts

    @torch.no_grad()
    def _read(self, batch: Sequence[Reading]) -> dict[str, tuple[float, float]]:
        model, texts = self._model.model, [text for text, _ in batch]
        tokens = torch.nn.utils.rnn.pad_sequence([text.tokens for text in texts], batch_first=True)
        places, mask = attention_of(texts, model.dtype)
        hidden = decoder_of(model)(
            input_ids=tokens, position_ids=places, attention_mask=mask, use_cache=False
        ).last_hidden_state
        states = torch.cat([hidden[row, text.predictors] for row, text in enumerate(texts)])
        targets = torch.cat([text.targets for text in texts])
        nats = torch.cat(
            [
                torch.nn.functional.cross_entropy(model.lm_head(own).float(), wanted, reduction="none")
                for own, wanted in zip(torch.split(states, HEAD_TOKENS), torch.split(targets, HEAD_TOKENS), strict=True)
            ]
        ).double()
        ids = [id for _, own in batch for id in own]
        parts = torch.split(nats, [count for text in texts for count in text.counts])
        return {id: (float(own[:-1].mean()), float(own[-1])) for id, own in zip(ids, parts, strict=True)}

    def _save(self) -> None:
        table = pd.DataFrame.from_dict(self._found, orient="index", columns=COLUMNS)
        write_table(self._kept, table.rename_axis("id").reset_index())


def _batches(texts: Sequence[Reading]) -> list[list[Reading]]:
    """Texts, the longest first, as many together as have BATCH_TOKENS with padding."""
    batches: list[list[Reading]] = []
    for one in sorted(texts, key=lambda one: -len(one[0].tokens)):
        if batches and (len(batches[-1]) + 1) * len(batches[-1][0][0].tokens) <= BATCH_TOKENS:
            batches[-1].append(one)
        else:
            batches.append([one])
    return batches


def _response_alone(whole: Encoded) -> Encoded:
    """The tokens up to the end of the last turn, whose loss alone counts."""
    last = whole.spans[-1]
    return Encoded(whole.tokens[: last.end], (last,))
