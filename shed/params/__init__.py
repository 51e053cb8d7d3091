"""The one typed model of `params.yaml`: every key, its type, what values it may have, and what it means.

In: a YAML file. Out: a frozen `Params`. No field has a default: a key that is absent from the file would be a value that DVC
does not see. `python -m shed.params [FILE]` checks a file and prints the meaning of every key beside its value. A
description is printed in the report.
"""

from shed.params.command import check_files, main
from shed.params.meanings import Line, describe
from shed.params.reading import load, load_params
from shed.params.records import Cluster, Data, Embed, Faults, Model, Quality, Reading
from shed.params.scoring import (
    Budget,
    Fidelity,
    MetagradientSettings,
    Rate,
    RegressionSettings,
    RemovalSettings,
    Score,
    ScoringRegime,
    ShapiqSettings,
    Target,
)
from shed.params.section import Section, Seed
from shed.params.tuning import Evaluate, Exclude, Export, Finetune, Judge, Sample, Tracking, VerdictSettings, Written
from shed.params.whole import Params

OUTPUTS_DEPEND_ON = ("describe",)  # see `shed.common.import_closure`

__all__ = [
    "Budget",
    "Cluster",
    "Data",
    "Embed",
    "Evaluate",
    "Exclude",
    "Export",
    "Faults",
    "Fidelity",
    "Finetune",
    "Judge",
    "Line",
    "MetagradientSettings",
    "Model",
    "Params",
    "Quality",
    "Rate",
    "Reading",
    "RegressionSettings",
    "RemovalSettings",
    "Sample",
    "Score",
    "ScoringRegime",
    "Section",
    "Seed",
    "ShapiqSettings",
    "Target",
    "Tracking",
    "VerdictSettings",
    "Written",
    "check_files",
    "describe",
    "load",
    "load_params",
    "main",
]
