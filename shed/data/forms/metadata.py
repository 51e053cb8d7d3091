"""Keys that a form does not use and that say nothing about what is tuned.

In: a key. Out: whether it tells where a row is from, what it is about or how it was judged. Any other key that nobody uses, and
that is not empty, sets its row aside.
"""

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
    | {"licence", "license", "model", "model_name", "generator"}
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
} | {"lang", "metadata", "meta", "subcategory"}
JUDGEMENT = {"difficulty", "score", "rating", "cluster", "selected"}
METADATA = frozenset(IDENTITY | ORIGIN | KIND | JUDGEMENT)
OWN = frozenset({"reason", "given"})  # metadata in a row that this project wrote; another's reason may be what is tuned
