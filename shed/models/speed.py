"""How fast a model reads on this machine.

In: a model and some records. Out: seconds for each token of a forward pass.
"""

import time
from collections.abc import Sequence

from shed.data.records import Record
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
TOKENS = 1024  # in the timed pass


def seconds_a_token(spec: ModelSpec, records: Sequence[Record]) -> float:
    """Wall seconds of a forward pass for each token, from one pass over as many records as have some 1,000 tokens.

    The pass is made twice, and the second one is timed. Records are read one by one, so that none is padded.

    Raises:
        ShedError: the model cannot be loaded.
    """
    import torch

    loaded = load_language_model(spec)
    texts: list[tuple[int, ...]] = []
    for record in records:
        texts.append(loaded.encoder.encode(record, end=True).tokens)
        if sum(map(len, texts)) >= TOKENS:
            break
    began = 0.0
    for _ in range(2):
        began = time.perf_counter()
        for text in texts:
            with torch.inference_mode():
                loaded.model(torch.tensor([text], device=loaded.model.device))
    return (time.perf_counter() - began) / sum(map(len, texts))
