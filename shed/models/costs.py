"""What records cost a model that reads them: tokens, and time on this machine.

In: records, and what makes their tokens or the model. Out: lengths of each record; seconds for each token of a forward pass.
"""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from shed.common.progress import track
from shed.data.records import Record
from shed.models.encoding import Encoder
from shed.models.loading import load_language_model
from shed.models.lora import decoder_of
from shed.models.parallel import Cores
from shed.models.specs import ModelSpec

OUTPUTS_DEPEND_ON = ("record_lengths",)  # see `shed.common.import_closure`
COLUMNS = {"id": "object", "tokens": "int64", "response_tokens": "int64", "too_long": "bool"}
TIMED_TOKENS = 2048


def record_lengths(encoder: Encoder, records: Sequence[Record]) -> pd.DataFrame:
    """`id`, `tokens` and `response_tokens` (whose loss tuning sees), both as they are tuned on, and `too_long`: is it cut?

    Raises:
        ShedError: the form cannot hold a record.
    """
    rows = []
    for record in track(records, "counting tokens", "record"):
        own = encoder.encode(record, end=True)
        rows.append((record.id, len(own.tokens), own.response_length, bool(own.cut or own.turns_cut or own.response_cut)))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def seconds_a_token(spec: ModelSpec, records: Sequence[Record]) -> float:
    """Wall seconds of a pass through the layers for each token, from one pass over as many records as have some 2,000 tokens.

    Records are read as ratings read them: some of similar length together on each core. The pass is made twice, and the second
    one is timed.

    Raises:
        ShedError: the model cannot be loaded.
    """
    import torch

    loaded = load_language_model(spec)
    texts: list[tuple[int, ...]] = []
    for record in records:
        texts.append(loaded.encoder.encode(record, end=True).tokens)
        if sum(map(len, texts)) >= TIMED_TOKENS:
            break
    cores, decoder = Cores(loaded.model.device), decoder_of(loaded.model)
    lengths = np.array(sorted(map(len, texts), reverse=True))

    @torch.no_grad()
    def read(run: Sequence[int]) -> None:
        decoder(input_ids=torch.zeros((len(run), int(lengths[run[0]])), dtype=torch.long, device=loaded.model.device))

    began = 0.0
    for _ in range(2):
        began = time.perf_counter()
        cores.map(read, cores.share(range(len(lengths)), lengths, cores.chunk_tokens))
    return float((time.perf_counter() - began) / lengths.sum())
