"""Which kernel of attention suits sequences of a length.

In: a device and a length. Out: a context in which torch uses that kernel.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

SHORT = 256  # tokens of a sequence whose attention is made by plain products


def attention_for(device: torch.device, longest: int) -> AbstractContextManager[None]:
    """Attention by plain products where that is faster: on a processor the fused kernel's backward pass is slow, but plain
    products keep a number for each pair of tokens of each head and layer, too many where sequences are long.
    """
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" and longest <= SHORT else nullcontext()
