"""What is compared, from `params.yaml` beside this file, checked like the main pipeline's params."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from shed.params import Section, Seed, load

Fraction = Annotated[float, Field(gt=0, le=1)]
PATH = "experiments/compare/params.yaml"


class Curve(Section):
    methods: list[str] = Field(description="methods that are run at other budgets, too")
    fractions: list[Fraction] = Field(description="shares of the pool")
    seeds: list[Seed] = Field(description="seeds of sampling and of tuning")


class Settings(Section):
    methods: Annotated[list[str], Field(min_length=1)] = Field(description="ways to select rows")
    fraction: Fraction = Field(description="the share of the pool that all methods select")
    seeds: list[Seed] = Field(description="seeds of sampling and of tuning")
    curve: Curve
    bootstrap_seed: Seed = Field(description="seed of intervals and p-values")

    @model_validator(mode="after")
    def each_run_is_listed_once(self) -> Self:
        if self.fraction in self.curve.fractions:
            raise ValueError(f"curve.fractions has {self.fraction}, which is `fraction`, too; leave it out there")
        return self


class Run(NamedTuple):
    method: str
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.method}-{self.fraction}-{self.seed}"


def load_settings() -> Settings:
    return load(Settings, PATH)


def runs(settings: Settings) -> Iterator[Run]:
    """All runs, as the matrices of dvc.yaml list them."""
    curve = settings.curve
    for method in settings.methods:
        yield from (Run(method, settings.fraction, seed) for seed in settings.seeds)
    for method in curve.methods:
        yield from (Run(method, fraction, seed) for fraction in curve.fractions for seed in curve.seeds)
