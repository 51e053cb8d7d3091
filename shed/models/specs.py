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
        max_tokens: context length; a longer prompt is cut at its start.
    """

    name: str
    form: Form
    max_tokens: int


@dataclass(frozen=True)
class LoraSettings:
    """Where LoRA weights go (Hu et al., arXiv 2106.09685).

    Attributes:
        r: rank.
        alpha: the update is scaled by alpha / r.
        modules: names of the linear layers that get LoRA weights.
        depth: how many of the model's top layers do; None for all.
    """

    r: int
    alpha: int
    modules: Sequence[str]
    depth: int | None = None
