"""What bergson 2.5.1 wrote is read as it is, and what it did not write, or not for whole rows, is one line.

The folder `bergson` was written by bergson itself, over ten records "Add n and 1." / "It is n + 1." with numbers 6 and 7 as its
queries: in `mean` by their mean gradient, in `each` one by one. `info.json`, `scores.bin` and `config.yaml` are as it left them.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shed.common.errors import ShedError
from shed.data.formats.bergson_scores import bergson_scores

WRITTEN = Path(__file__).parent / "bergson"
LOADED = [0.767491, 0.746972, 0.843332, 0.845666, 0.879529, 0.849788, 0.917322, 0.921268, 0.902479, 0.869389]  # by bergson


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """A copy that can be spoiled."""
    return Path(shutil.copytree(WRITTEN / "mean", tmp_path / "scores")) / "scores.bin"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def rewrite(scores: Path, kind: str, column: np.ndarray) -> None:
    """The scores in another kind of number, laid out as bergson does: each with its flag, in 8 bytes or 16."""
    size = column.dtype.itemsize
    wide = 16 if size == 8 else 8
    layout = np.dtype({"names": ["s", "w"], "formats": [column.dtype, "?"], "offsets": [0, size], "itemsize": wide})
    table = np.zeros(len(column), layout)
    table["s"], table["w"] = column, True
    scores.write_bytes(table.tobytes())
    info = json.loads(scores.with_name("info.json").read_text(encoding="utf-8"))
    info["dtype"] |= {"formats": [kind, "bool"], "offsets": [0, size], "itemsize": wide}
    scores.with_name("info.json").write_text(json.dumps(info), encoding="utf-8")


def test_scores_are_those_that_bergson_itself_loads(scores: Path) -> None:
    np.testing.assert_allclose(bergson_scores(scores), LOADED, atol=1e-6)


def test_higher_is_better_so_the_queries_own_records_come_first(scores: Path) -> None:
    assert set(np.argsort(bergson_scores(scores))[-2:]) == {6, 7}


def test_the_mean_of_one_column_a_query_is_the_score_against_their_mean_gradient() -> None:
    np.testing.assert_allclose(bergson_scores(WRITTEN / "each/scores.bin"), LOADED, atol=1e-6)


def test_scores_of_which_lower_ones_are_better_change_their_sign(scores: Path) -> None:
    change(scores.with_name("config.yaml"), "      higher_is_better: true\n", "      higher_is_better: false\n")
    np.testing.assert_allclose(bergson_scores(scores), np.negative(LOADED), atol=1e-6)


@pytest.mark.parametrize(("kind", "close"), [("float64", 1e-6), ("float16", 1e-3), ("bfloat16", 1e-2)])
def test_other_kinds_of_numbers_are_read(scores: Path, kind: str, close: float) -> None:
    loaded = np.array(LOADED, dtype="<f4")
    rewrite(scores, kind, (loaded.view("<u4") >> 16).astype("<u2") if kind == "bfloat16" else loaded.astype(kind))
    np.testing.assert_allclose(bergson_scores(scores), LOADED, atol=close)
    assert not np.allclose(bergson_scores(scores), LOADED, atol=close / 100) or kind == "float64"


def unwritten(scores: Path) -> None:
    scores.write_bytes(scores.read_bytes()[:-4] + bytes(4))


def cut(scores: Path) -> None:
    scores.write_bytes(scores.read_bytes()[:-1])


def candidates(scores: Path) -> None:
    np.save(scores.with_name("candidates.npy"), np.arange(10))


def info(old: str, new: str) -> Callable[[Path], None]:
    return lambda scores: change(scores.with_name("info.json"), old, new)


def config(text: str | None) -> Callable[[Path], None]:
    """Another config beside the scores, or none."""

    def spoil(scores: Path) -> None:
        scores.with_name("config.yaml").unlink()
        if text is not None:
            scores.with_name("config.yaml").write_text(text, encoding="utf-8")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (unwritten, r"scores\.bin: 1 of its 10 rows have no score; bergson skips rows of fewer than two tokens$"),
        (cut, r"scores\.bin: cannot be read \(79 bytes, not 10 rows of 8 as info\.json says\)"),
        (candidates, r"scores\.bin: scores of some rows alone \(candidates\.npy\); let bergson score all rows$"),
        (
            info('"attribute_tokens": false', '"attribute_tokens": true'),
            r"scores\.bin: scores of single tokens; let bergson score",
        ),
        (info('"num_rows": 10', '"num_rows": 0'), r"info\.json: cannot be read \(0 rows of "),
        (info('"num_rows": 10', '"num_rows": 1e400'), r"info\.json: a number that is too large"),
        (info('"num_scores": 1', '"num_scores": 2'), r"info\.json: cannot be read \(10 rows of \['score_0', 'written_0'\]\)"),
        (info('"float32"', '"object"'), r"info\.json: cannot be read \('object'\)"),
        (info('"itemsize": 8', '"itemsize": 2'), r"info\.json: cannot be read \("),
        (info('"dtype"', '"type"'), r"info\.json: cannot be read \('dtype'\)"),
        (lambda scores: scores.with_name("info.json").unlink(), r"info\.json: no such file$"),
        (lambda scores: scores.with_name("info.json").write_text("[" * 100_000), r"info\.json: nested too deeply; sc"),
        (lambda scores: scores.with_name("info.json").write_text(" " * 16_000_001), r"info\.json: more than 16,000,000 bytes"),
        (info('"num_scores": 1', '"num_scores": 1000000000000'), r"info\.json: cannot be read \(10 rows of"),
        (lambda scores: scores.with_name("info.json").write_text("[]"), r"info\.json: not a JSON object; score the"),
        (config(None), r"scores\.bin: no config\.yaml is beside it, which says whether higher is better; give a table of `id`"),
        (
            config("steps:\n- magic: {run_path: x}\n"),
            r"scores\.bin: config\.yaml beside it does not say whether higher is better",
        ),
        (
            config("steps: [1, {score: null}, {score: {score_cfg: {higher_is_better: 1}}}]"),
            r"scores\.bin: config\.yaml beside it",
        ),
        (config("- nothing\n"), r"scores\.bin: config\.yaml beside it does not say"),
        (config("a: ["), r"config\.yaml, line 1: not YAML that can be read"),
    ],
)
def test_what_cannot_be_a_score_for_each_row_is_one_line(scores: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(scores)
    with pytest.raises(ShedError) as error:
        bergson_scores(scores)
    assert "\n" not in str(error.value)
    assert re.match(f"{re.escape(str(scores.parent))}/{said}", str(error.value)), error.value
