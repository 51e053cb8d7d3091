"""What is compared. In: `params.yaml` beside this file, checked like the main pipeline's params. Out: the runs.

`python -m experiments.compare.settings` prints the name of every run.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from shed.params import Section, Seed, load

PATH = "experiments/compare/params.yaml"
Contender = Annotated[str, Field(pattern=r"^[a-z_0-9]+-(0\.\d+|1\.0)$")]


class Group(Section):
    methods: Annotated[list[Contender], Field(min_length=1)] = Field(description="METHOD-SHARE, a share as 0.1 or 1.0")
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(description="seeds of sampling and of tuning")


class Settings(Section):
    contenders: Group = Field(description="all methods at one budget, under enough seeds for intervals")
    curve: Group = Field(description="some of them at other budgets")

    @model_validator(mode="after")
    def groups_are_apart(self) -> Self:
        shares = [{float(method.rsplit("-", 1)[1]) for method in group.methods} for group in (self.contenders, self.curve)]
        both = sorted(shares[0] & shares[1])
        if both:
            raise ValueError(f"contenders and curve both have the share {both[0]:g}; a share belongs to one of them")
        return self


class Run(NamedTuple):
    method: str
    fraction: float
    seed: int
    name: str


def load_settings() -> Settings:
    return load(Settings, PATH)


def runs(settings: Settings) -> Iterator[Run]:
    """All runs: each contender of a group under each of its seeds."""
    for group in (settings.contenders, settings.curve):
        for contender in group.methods:
            method, share = contender.rsplit("-", 1)
            yield from (Run(method, float(share), seed, f"{contender}-{seed}") for seed in group.seeds)


if __name__ == "__main__":
    print("\n".join(run.name for run in runs(load_settings())))
