"""The models.

In: the groups `model` and `embed`, and the revision of a model of the hub. Out: what `shed.models` loads.
"""

from shed.models.specs import EmbedderSpec, ModelSpec
from shed.params import Embed, Model


def model_spec(own: Model, revision: str | None, where: str | None = None) -> ModelSpec:
    """The base model and the form in which it reads records.

    Args:
        where: the folder in which it lies, if that is not its name.
    """
    return ModelSpec(own.name, own.prompt, own.max_tokens, revision, None if where == own.name else where)


def embedder_spec(own: Embed, revision: str | None, where: str | None = None) -> EmbedderSpec:
    """The embedder and what it reads of a record.

    Args:
        where: the folder in which it lies, if that is not its name.
    """
    return EmbedderSpec(where or own.model, own.batch_size, own.of, revision)
