"""About how many tokens a record has, before the model is loaded.

In: the model's name. Out: what counts the tokens of a text: its tokenizer where it lies on this machine, else four characters a
token. A prompt form adds some tokens to each record.
"""

from collections.abc import Callable
from pathlib import Path

from shed.data.packaged import cache_folder
from shed.models.loading import PACKAGED

CHARACTERS_A_TOKEN = 4  # of English text, about; of code three, of simple prose five
FRAME = {
    "plain": 6,
    "chat": 31,
}  # tokens that the form writes around a question and a response; measured with the packaged model
DEFAULT = "packaged/smollm2-135m-instruct"
TOKENIZER = "tokenizer.json"


def counter(model: str | None = None) -> Callable[[str], float]:
    """What counts the tokens of a text; by the tokenizer of the packaged model where none is named."""
    path = folder_of(model or DEFAULT) / TOKENIZER
    if path.is_file():
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception:  # whatever is wrong with it, `shed check` tells: here is only an estimate
            return _by_characters
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
    return _by_characters


def _by_characters(text: str) -> float:
    return len(text) / CHARACTERS_A_TOKEN


def folder_of(model: str) -> Path:
    """Where a model's files lie, if they are on this machine."""
    if model not in PACKAGED:
        return Path(model).expanduser()
    return cache_folder() / "models" / f"{model.removeprefix('packaged/')}-{PACKAGED[model].wheel.sha256[:12]}"
