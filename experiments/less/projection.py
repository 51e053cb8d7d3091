"""A random projection that keeps inner products: vectors of millions of numbers become short, without a matrix of both sizes.

In: vectors (B, P). Out: vectors (B, d), whose inner products differ from theirs by about 1/√d of the product of the lengths.

The P numbers are cut into blocks of d. Each block is turned by random signs, a Hadamard matrix, and random signs again, and the
blocks are added up (a block SRHT, arXiv 2210.11295). That takes some d · 2√d products a block, where a dense random matrix has
d², so that d may be as large as in the paper. Signs take two bytes for each of the P numbers.
"""

import math

import torch
from torch import Tensor, nn

from shed.common.errors import ShedError


class Projection:
    """A projection from `width` numbers to `dimensions`, a power of two, drawn by a seed; the same on any device.

    Raises:
        ShedError: `dimensions` is no power of two.
    """

    def __init__(self, width: int, dimensions: int, seed: int, like: Tensor) -> None:
        if dimensions < 1 or dimensions & (dimensions - 1):
            raise ShedError(f"a projection to {dimensions} dimensions is asked for; take a power of two")
        blocks, generator = -(-width // dimensions), torch.Generator().manual_seed(seed)
        drawn = torch.randint(0, 2, (2, blocks, dimensions), generator=generator, dtype=torch.int8)
        self._first, self._last = (2 * drawn - 1).to(like.device)
        self.dimensions = dimensions
        rows = 1 << ((dimensions.bit_length() - 1) // 2)
        self._left, self._right = hadamard(rows).to(like), hadamard(dimensions // rows).to(like)

    def __call__(self, vectors: Tensor) -> Tensor:
        """(B, d) of these (B, P)."""
        total = vectors.new_zeros(len(vectors), self.dimensions)
        for block, own in enumerate(torch.split(vectors, self.dimensions, dim=1)):
            part = nn.functional.pad(own, (0, self.dimensions - own.shape[1])) * self._first[block]
            turned = self._left @ part.view(len(part), len(self._left), len(self._right)) @ self._right
            total += turned.flatten(1) * self._last[block]
        return total


def hadamard(size: int) -> Tensor:
    """(size, size) Sylvester's matrix for a power of two, with rows of length one."""
    found: Tensor = torch.ones(1, 1)
    while len(found) < size:
        found = torch.cat([torch.cat([found, found], dim=1), torch.cat([found, -found], dim=1)])
    return found / math.sqrt(size)
