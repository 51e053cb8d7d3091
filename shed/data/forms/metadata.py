"""Keys that a form does not use and that say nothing about what is tuned.

In: a key and its value. Out: whether it tells where a row is from, what it is about or how it was judged. Any other key that
nobody uses, and that is not empty, sets its row aside.

Rules, in this order:

1. A listed key is metadata.
2. A key with a word of `TELLING`, or with a last word of `TEXTS`, is not: it may say what is tuned, or how much of it counts
   (`image_url`, `answer_index`, `sample_weight`).
3. A key of several words is what the last of them says: `task_category` is a category, `avatarUrl` a URL.
4. A number, true or false is a measurement or a switch and not a text: `helpfulness: 3`, `parallel_tool_calls: true`.
5. An object is metadata if all in it is.
"""

import re
from functools import lru_cache
from typing import Any

IDENTITY = {
    "id",
    "_id",
    "uuid",
    "idx",
    "index",
    "__index_level_0__",
    "hash",
    "row_id",
    "prompt_id",
    "question_id",
    "message_id",
} | {"conversation_id", "session_id"}
ORIGIN = (
    {"source", "origin", "dataset", "dataset_name", "subset", "config", "split", "url", "link", "author", "version"}
    | {"licence", "license", "model", "model_name", "generator", "annotator"}
    | {"date", "time", "timestamp", "created", "created_at", "updated_at"}
)
KIND = {
    "category",
    "categories",
    "subject",
    "task",
    "task_type",
    "task_name",
    "type",
    "topic",
    "domain",
    "tags",
    "language",
    "title",
} | {"lang", "metadata", "meta", "subcategory"}
JUDGEMENT = {"difficulty", "score", "rating", "cluster", "selected", "quality", "level", "moderation"}
METADATA = frozenset(IDENTITY | ORIGIN | KIND | JUDGEMENT)
OWN = frozenset({"reason", "given"})  # metadata in a row that this project wrote; another's reason may be what is tuned

LAST_WORDS = METADATA | {"at"}  # `posted_at`
WEIGHING = {"weight", "loss", "mask", "train", "trained", "training"} | {"skip", "exclude", "excluded", "delete", "deleted"}
ANSWERING = {"answer", "label", "target", "correct", "gold", "choice", "option", "class", "solution", "result"}
MEDIA = {"image", "img", "picture", "photo", "pixel", "audio", "sound", "speech", "video", "media", "file"}
TELLING = frozenset(WEIGHING | ANSWERING | MEDIA)
ASKED = {"prompt", "instruction", "question", "query", "input", "context", "system"}
TEXTS = frozenset(ASKED | {"response", "completion", "output"})
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")


def is_metadata(key: str, value: Any) -> bool:
    """True if the key says nothing about what is tuned, by the rules above."""
    listed, telling = _judged(key)
    if listed:
        return not (isinstance(value, list) and key.lower().endswith("ids"))  # those are tokens: `input_ids`
    if telling:
        return False
    if isinstance(value, bool | int | float):
        return True
    if isinstance(value, dict):
        return all(is_metadata(inner, item) for inner, item in value.items())
    return isinstance(value, list) and all(isinstance(item, dict) and is_metadata(key, item) for item in value)


@lru_cache(maxsize=10_000)
def _judged(key: str) -> tuple[bool, bool]:
    """Whether the key alone is metadata, and whether it may tell what is tuned."""
    if key.lower() in METADATA:
        return True, False
    words = [_singular(word.lower()) for word in WORD.findall(key)]
    if not words or len(words[-1]) == 1 or words[-1] in TEXTS or not TELLING.isdisjoint(words):
        return False, True
    return words[-1] in LAST_WORDS or "_".join(words[-2:]) in METADATA, False


def _singular(word: str) -> str:
    """As far as the words above need it."""
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word  # a class is no plural
