"""What a model is asked to be: which one, how records become its tokens, and where LoRA weights go.

In: values from params or from a caller. Out: small frozen values that travel together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["plain", "chat"]


@dataclass(frozen=True)
class ModelSpec:
    """A base language model and the form in which it reads records.

    Attributes:
        name: `packaged/NAME`, a local folder, or a hub id.
        form: `plain` (`Question: …` and `Answer:`), or `chat`, the tokenizer's chat template.
        max_tokens: context length; for what becomes of longer records see `shed.models.encoding`.
        revision: of a model on the hub, the one that is loaded; None for the newest.
        folder: where a local model lies, if it is not at its name from here.
    """

    name: str
    form: Form
    max_tokens: int
    revision: str | None = None
    folder: str | None = None

    @property
    def where(self) -> str:
        """What is loaded."""
        return self.folder or self.name


EmbeddedPart = Literal["prompt", "response", "both", "last_turn"]


@dataclass(frozen=True)
class EmbedderSpec:
    """A sentence-transformers model and what it reads of a record.

    Attributes:
        name: `packaged/NAME`, a local folder, or a hub id.
        batch_size: texts embedded at once.
        of: which part of a record; see `shed.embedding.embedder.text_of`.
        revision: of a model on the hub, the one that is loaded; None for the newest.
    """

    name: str
    batch_size: int
    of: EmbeddedPart = "last_turn"
    revision: str | None = None


@dataclass(frozen=True)
class LoraSettings:
    """Where LoRA weights go (Hu et al., arXiv 2106.09685).

    Attributes:
        r: rank.
        alpha: the update is scaled by alpha / r.
        modules: names of the linear layers that get LoRA weights, or `all-linear` alone; see `shed.models.lora`.
        depth: how many of the model's top layers do; None for all.
    """

    r: int
    alpha: int
    modules: Sequence[str]
    depth: int | None = None
