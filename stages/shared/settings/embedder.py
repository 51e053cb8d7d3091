"""The embedder as params name it, at the revision that `fetch` found."""

from shed.common.atomic_io import read_json
from shed.models.specs import EmbedderSpec
from shed.params import Params
from shed.settings import models
from stages.shared.paths import located


def embedder_spec(params: Params) -> EmbedderSpec:
    """The embedder and what it reads of a record."""
    return models.embedder_spec(params.embed, read_json("data/embedder.json").get("revision"), located(params.embed.model))
