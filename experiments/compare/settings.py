"""What is compared, from `params.yaml` beside this file, checked like the main pipeline's params.

`python -m experiments.compare.settings` prints the name of every run.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from shed.params import Section, Seed, load

PATH = "experiments/compare/params.yaml"
Contender = Annotated[str, Field(pattern=r"^[a-z_0-9]+-(0\.\d+|1\.0)$")]


class Settings(Section):
    contenders: Annotated[list[Contender], Field(min_length=1)] = Field(description="METHOD-SHARE, a share as 0.1 or 1.0")
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(description="seeds of sampling and of tuning")
    bootstrap_seed: Seed = Field(description="seed of intervals and p-values")


class Run(NamedTuple):
    method: str
    fraction: float
    seed: int
    name: str


def load_settings() -> Settings:
    return load(Settings, PATH)


def runs(settings: Settings) -> Iterator[Run]:
    """All runs: each contender under each seed."""
    for contender in settings.contenders:
        method, share = contender.rsplit("-", 1)
        yield from (Run(method, float(share), seed, f"{contender}-{seed}") for seed in settings.seeds)


if __name__ == "__main__":
    print("\n".join(run.name for run in runs(load_settings())))
