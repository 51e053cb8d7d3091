"""How the user's own rows are read.

In: the group `data.reading`. Out: what `shed.data.readers` takes.
"""

from shed.data.readers import ReaderSettings
from shed.params import Reading


def reader_settings(own: Reading) -> ReaderSettings:
    return ReaderSettings(own.form, own.columns, own.list_key, own.ignore, own.train_on, own.max_row_mb)
