"""The scores that bergson writes: `scores.bin`, with `info.json` beside it for its layout and `config.yaml` for its sign.

In: the path of `scores.bin`. Out: a score for each row of the data set that was scored, in its order, higher is better.

Of several queries, a row's score is the mean: for dot products and cosines the same as a score against the queries' mean
gradient. Written against bergson 2.5.1, whose `load_scores` reads the same files.
"""

from pathlib import Path

import numpy as np

from shed.common.errors import ShedError
from shed.data.formats.json_values import parse_object
from shed.data.formats.opening import Bad, told_in_one_line
from shed.data.formats.yaml_text import read_yaml, utf8

SCORES, LAYOUT, CONFIG, CANDIDATES = "scores.bin", "info.json", "config.yaml", "candidates.npy"
NUMBERS = {"float16": "<f2", "float32": "<f4", "float64": "<f8", "bfloat16": "<u2", "bool": "?"}  # of bfloat16 its bits
MOST_LAYOUT = 16_000_000  # bytes
OTHERWISE = "give a table of `id` and `score`, where higher is better, instead"


def beside(path: Path) -> list[Path]:
    """The files that say how the scores are read."""
    return [path.with_name(LAYOUT), path.with_name(CONFIG)]


def bergson_scores(path: Path) -> np.ndarray:
    """(rows,) float64, higher is better.

    Raises:
        ShedError: a file is missing, damaged or of another layout, a row has no score, the scores are of single tokens or of
            some rows alone, or nothing says which end of them is best.
    """
    sign = 1.0 if _higher_is_better(path) else -1.0
    if path.with_name(CANDIDATES).exists():
        raise _refused(path, f"scores of some rows alone ({CANDIDATES}); let bergson score all rows")
    layout, rows = _layout(path)
    with told_in_one_line(path):
        if path.stat().st_size != rows * layout.itemsize:
            raise ValueError(f"{path.stat().st_size:,} bytes, not {rows:,} rows of {layout.itemsize} as {LAYOUT} says")
        table = np.memmap(path, dtype=layout, mode="r", shape=(rows,))
    total, columns = np.zeros(rows), len(layout.names or ()) // 2
    for n in range(columns):
        if missing := rows - int(table[f"written_{n}"].sum()):
            raise _refused(path, f"{missing:,} of its {rows:,} rows have no score; bergson skips rows of fewer than two tokens")
        column = table[f"score_{n}"]
        total += (column.astype("<u4") << 16).view("<f4") if column.dtype == "<u2" else column
    return sign * total / columns


def _layout(path: Path) -> tuple[np.dtype, int]:
    """A row's `score_0`, `written_0`, `score_1`, … as they lie in the file, and how many rows there are."""
    own = path.with_name(LAYOUT)
    with told_in_one_line(own), own.open("rb") as file:
        content = file.read(MOST_LAYOUT + 1)
    if len(content) > MOST_LAYOUT:
        raise ShedError(f"{own}: more than {MOST_LAYOUT:,} bytes, which is no layout of scores")
    info = parse_object(utf8(content, str(own)))
    if isinstance(info, Bad):
        raise ShedError(f"{own}: {info.reason}; score the data set again")
    with told_in_one_line(own):
        if info["attribute_tokens"]:
            raise _refused(path, "scores of single tokens; let bergson score whole rows (attribute_tokens: false)")
        rows, columns, spec = int(info["num_rows"]), int(info["num_scores"]), info["dtype"]
        named = len(spec["names"]) == 2 * columns  # looked at first, since a number can ask for any number of names
        names = [name for n in range(columns if named else 0) for name in (f"score_{n}", f"written_{n}")]
        if min(rows, columns) < 1 or spec["names"] != names:
            raise ValueError(f"{rows:,} rows of {str(spec['names'])[:80]}")
        formats = [NUMBERS[kind] for kind in spec["formats"]]
        return np.dtype({"names": names, "formats": formats, "offsets": spec["offsets"], "itemsize": spec["itemsize"]}), rows


def _higher_is_better(path: Path) -> bool:
    """What the first step with a `score_cfg` says, as bergson itself looks for it."""
    own = path.with_name(CONFIG)
    if not own.exists():
        raise _refused(path, f"no {CONFIG} is beside it, which says whether higher is better; {OTHERWISE}")
    with told_in_one_line(own):
        config = read_yaml(own, "config of bergson")
    steps = config.get("steps") if isinstance(config, dict) else None
    for step in steps if isinstance(steps, list) else ():
        for command in step.values() if isinstance(step, dict) else ():
            settings = command.get("score_cfg") if isinstance(command, dict) else None
            if isinstance(settings, dict) and isinstance(settings.get("higher_is_better"), bool):
                return bool(settings["higher_is_better"])
    raise _refused(path, f"{CONFIG} beside it does not say whether higher is better (score_cfg); {OTHERWISE}")


def _refused(path: Path, why: str) -> ShedError:
    return ShedError(f"{path}: {why}", "given selection")
