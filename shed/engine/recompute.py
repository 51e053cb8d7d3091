"""A function whose insides are not kept for the backward pass but computed again there, also in forward mode.

In: a function of tensors and its inputs, some of which may be dual: a value and its tangent. Out: its result, dual if an input
is. Through a chain of such functions, the gradient of the last one's tangent has second derivatives, at the memory of one.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint


def again(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """The function's result, for which only the inputs are kept."""
    values, tangents = zip(*map(forward_ad.unpack_dual, inputs), strict=True)
    moving = [n for n, tangent in enumerate(tangents) if tangent is not None]
    if not moving:
        result: Tensor = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
        return result
    with torch.no_grad():
        known = forward_ad.unpack_dual(function(*inputs))  # type: ignore[no-untyped-call]
    pair = _Again.apply(function, moving, *known, *values, *(tangents[n] for n in moving))  # type: ignore[no-untyped-call]
    dual: Tensor = forward_ad.make_dual(*pair)  # type: ignore[no-untyped-call]
    return dual


class _Again(torch.autograd.Function):
    """A result f(x) and its tangent J ẋ, both known, as functions of x and ẋ.

    With cotangents a of the result and b of its tangent, ẋ gets Jᵀ b, and x gets Jᵀ a and the gradient of ẋ · Jᵀ b.
    """

    @staticmethod
    def forward(
        ctx: Any, function: Callable[..., Tensor], moving: list[int], value: Tensor, tangent: Tensor, *inputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.function, ctx.moving = function, moving
        ctx.save_for_backward(*inputs)
        return value, tangent

    @staticmethod
    def backward(ctx: Any, of_value: Tensor, of_tangent: Tensor) -> Any:
        count = len(ctx.saved_tensors) - len(ctx.moving)
        values = [value.detach().requires_grad_() for value in ctx.saved_tensors[:count]]
        with torch.enable_grad():
            result = ctx.function(*values)
            slopes = torch.autograd.grad(result, [values[n] for n in ctx.moving], of_tangent, create_graph=True)
        wanted = ctx.needs_input_grad[4 : 4 + count]
        sources = [value for value, own in zip(values, wanted, strict=True) if own]
        tangents = ctx.saved_tensors[count:]
        found = iter(torch.autograd.grad([result, *slopes], sources, [of_value, *tangents], allow_unused=True))
        return None, None, None, None, *(next(found) if own else None for own in wanted), *(own.detach() for own in slopes)
