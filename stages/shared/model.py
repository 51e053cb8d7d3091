"""The base model and the embedder as params name them, at the revision that `fetch` found."""

from shed.common.atomic_io import read_json
from shed.models.specs import EmbedderSpec, ModelSpec
from shed.params import Params
from stages.shared.inputs import located


def model_spec(params: Params) -> ModelSpec:
    """The base model and the form in which it reads records."""
    model, folder = params.model, located(params.model.name)
    revision = read_json("data/model.json").get("revision")
    return ModelSpec(model.name, model.prompt, model.max_tokens, revision, None if folder == model.name else folder)


def embedder_spec(params: Params) -> EmbedderSpec:
    """The embedder and what it reads of a record."""
    own = params.embed
    return EmbedderSpec(located(own.model), own.batch_size, own.of, read_json("data/embedder.json").get("revision"))
