"""What records cost a model that reads them: their lengths in tokens.

In: records, and what makes their tokens. Out: lengths of each record.
"""

from collections.abc import Sequence

import pandas as pd

from shed.common.progress import track
from shed.data.records import Record
from shed.models.encoding import Encoder

COLUMNS = {"id": "object", "tokens": "int64", "response_tokens": "int64", "too_long": "bool"}


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
