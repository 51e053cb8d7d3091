"""The base model as params name it, at the revision that `fetch` found."""

from shed.common.atomic_io import read_json
from shed.models.specs import ModelSpec
from shed.params import Params
from stages.shared.paths import located


def model_spec(params: Params) -> ModelSpec:
    """The base model and the form in which it reads records."""
    model, folder = params.model, located(params.model.name)
    revision = read_json("data/model.json").get("revision")
    return ModelSpec(model.name, model.prompt, model.max_tokens, revision, None if folder == model.name else folder)
