"""What the layers read of a record: its tokens, or those of a question and all its options, whose prompt is read once.

In: encoded sequences. Out: `Text`s, and the attention of a batch of them.

A question's options stand one after the other behind the prompt. Attention lets an option see the prompt and itself alone, and
its positions follow the prompt's, so that each is read as if it stood there by itself. The last token of a sequence is
predicted, never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from shed.models.encoding import Encoded


@dataclass(frozen=True)
class Text:
    """What is read of a record, L tokens, and the R tokens whose loss counts.

    Attributes:
        tokens: (L,) what is read.
        targets: (R,) the tokens whose loss counts.
        predictors: (R,) the places that predict them.
        weights: (R,) float64, what the loss of each counts.
        counts: how many targets each option has; a single number where there are none.
        places: (L,) positions; None if they are 0 to L - 1.
        branch: (L,) the option that a token is of, from 1; 0 for the prompt; None where there is no more than one.
        hidden: (L, D) what the layers below the tuned ones make of it; None where that is not kept.
    """

    tokens: Tensor
    targets: Tensor
    predictors: Tensor
    weights: Tensor
    counts: tuple[int, ...]
    places: Tensor | None = None
    branch: Tensor | None = None
    hidden: Tensor | None = None


class Attention(NamedTuple):
    """Which tokens of a batch see which, where that is not merely those before them.

    Attributes:
        places: (B, L) positions, or None.
        mask: (B, 1, L, L) what is added to attention's scores, or None.
    """

    places: Tensor | None
    mask: Tensor | None


CAUSAL = Attention(None, None)


def text_of(sequence: Encoded, device: torch.device) -> Text:
    """What is read of one sequence."""
    tokens, places = torch.tensor(sequence.tokens, device=device), torch.tensor(sequence.places, device=device)
    weights = torch.tensor(sequence.weights, dtype=torch.float64, device=device)
    return Text(tokens[:-1], tokens[places], places - 1, weights, (len(places),))


def texts_of(options: Sequence[Encoded], device: torch.device) -> list[Text]:
    """What is read of a question's sequences, one for each option: one text for all whose prompts are the same, in order."""
    groups = [list(group) for _, group in groupby(options, lambda option: option.tokens[: option.prompt_length])]
    return [text_of(group[0], device) if len(group) == 1 else _question(group, device) for group in groups]


def _question(options: Sequence[Encoded], device: torch.device) -> Text:
    length = options[0].prompt_length
    tokens, places, branch = list(options[0].tokens[:length]), list(range(length)), [0] * length
    targets: list[int] = []
    predictors: list[int] = []
    weights: list[float] = []
    for number, option in enumerate(options, start=1):
        first = len(tokens) - length  # a place of the option stands this far behind in the text
        predictors += [length - 1 if place == length else first + place - 1 for place in option.places]
        targets += [option.tokens[place] for place in option.places]
        weights += option.weights
        own = option.tokens[length:-1]
        tokens += own
        places += range(length, length + len(own))
        branch += [number] * len(own)
    read, target, predictor, place, of = (
        torch.tensor(values, device=device) for values in (tokens, targets, predictors, places, branch)
    )
    counted = torch.tensor(weights, dtype=torch.float64, device=device)
    return Text(read, target, predictor, counted, tuple(option.response_length for option in options), place, of)


def attention_of(texts: Sequence[Text], dtype: torch.dtype) -> Attention:
    """The attention of texts that are padded on the right, where no text sees the padding."""
    if all(text.branch is None for text in texts):
        return CAUSAL
    longest, device = max(len(text.tokens) for text in texts), texts[0].tokens.device
    places = torch.arange(longest, device=device).repeat(len(texts), 1)
    sees = torch.ones(len(texts), longest, longest, dtype=torch.bool, device=device).tril()
    for b, text in enumerate(texts):
        if text.branch is not None and text.places is not None:
            length = len(text.tokens)
            places[b, :length] = text.places
            sees[b, :length, :length] &= (text.branch == 0) | (text.branch[:, None] == text.branch)
    mask = torch.zeros(sees.shape, dtype=dtype, device=device).masked_fill(~sees, torch.finfo(dtype).min)
    return Attention(places, mask[:, None])
