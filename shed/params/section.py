"""What groups of params are made of: a strict section, and the types of its numbers.

In: nothing. Out: types that the groups are written in.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1, le=2**53)]  # of more, arrays cannot count
Seed = Annotated[int, Field(ge=0, lt=2**32)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Modules = Annotated[list[str], Field(min_length=1)]


class Section(BaseModel):
    """A group of params: unknown keys, wrong types and missing keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
