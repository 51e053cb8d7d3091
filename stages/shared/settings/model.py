"""The base model as params name it, at the revision that `fetch` found."""

from shed.common.atomic_io import read_json
from shed.models.specs import ModelSpec
from shed.params import Params
from shed.settings import models
from stages.shared.paths import located


def model_spec(params: Params) -> ModelSpec:
    """The base model and the form in which it reads records."""
    return models.model_spec(params.model, read_json("data/model.json").get("revision"), located(params.model.name))
