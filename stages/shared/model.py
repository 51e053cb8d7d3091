"""The base model as params name it."""

from shed.models.specs import ModelSpec
from shed.params import Params


def model_spec(params: Params) -> ModelSpec:
    """The base model and the form in which it reads records."""
    model = params.model
    return ModelSpec(model.name, model.prompt, model.max_tokens)
