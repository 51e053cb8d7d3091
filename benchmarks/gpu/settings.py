"""The paper's settings for a proof, and what may be cut of them so that it ends in time.

In: the values of a new project's params, and how many rows there are. Out: values of all params; cuts, by what they make
cheaper.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from shed.data.formats.yaml_text import read_yaml

PAPER = Path(__file__).parents[2] / "profiles" / "paper.yaml"
ROWS_A_CLUSTER = 17  # the paper makes 3,000 clusters of 52,002 rows
GROUPS = 50  # in which the paper removes clusters: 3,000 in groups of 60
LEAST_CLUSTERS = 50  # to which they are cut
FEWEST_CLUSTERS = 4  # of very few rows: of fewer clusters there are not enough halves to audit scores by
WARM_ROWS, DEV_ROWS = 100, 100
LIMIT = 50  # questions of each task, or of each of its subjects
KEPT = ("data", "model")  # what `shed init` has set
SIZES = ("data.dev_rows", "data.test_rows", "model.max_tokens")  # but for these
Changes = dict[str, Any]


def paper_params(own: Mapping[str, Any], rows: int, tasks: Sequence[str]) -> dict[str, Any]:
    """The paper's params for a project.

    Args:
        own: the project's params as `shed init` made them, of which its data and model stay.
        rows: of the pool, to draw.
        tasks: lm-eval's, by name or file.
    """
    found: dict[str, Any] = deepcopy(dict(read_yaml(PAPER, "file of params", "dvc")))
    sizes = {key: value_of(found, key) for key in SIZES}
    found |= {key: deepcopy(own[key]) for key in KEPT}
    changes: Changes = {
        **sizes,
        "data.pool_rows": rows,
        "embed.model": own["embed"]["model"],  # the same one, packaged
        **clusters_of(max(FEWEST_CLUSTERS, rows // ROWS_A_CLUSTER)),
        "rate.warm_rows": max(1, min(WARM_ROWS, rows // 5)),  # the paper rates no rows
        "fidelity.coalitions": 12,
        "evaluate.limit": LIMIT,
        "evaluate.tasks": list(tasks),
        "evaluate.written.limit": 0,
    }
    return changed(found, changes)


def value_of(params: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted name."""
    found: Any = params
    for part in key.split("."):
        found = found[part]
    return found


def clusters_of(count: int) -> Changes:
    """So many clusters, removed in as many groups as in the paper."""
    return {"C": count, "score.removal.n": max(1, count // GROUPS)}


def changed(params: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The params with these values by their dotted names."""
    found = deepcopy(dict(params))
    for key, value in changes.items():
        *groups, last = key.split(".")
        section = found
        for group in groups:
            section = section[group]
        section[last] = value
    return found


def cuts(clusters: int) -> dict[str, list[Changes]]:
    """What makes parts of a proof cheaper, each step on top of those before it; the dearest part is cut first."""
    fewer = []
    while (clusters := clusters // 2) >= LEAST_CLUSTERS:
        fewer.append(clusters_of(clusters))
    return {
        "score": [{"score.dev_rows": DEV_ROWS}, *({"score.removal.k": k} for k in (5, 3, 2)), *fewer, {"score.removal.k": 1}],
        "fidelity": [{"fidelity.coalitions": 4}],
        "rate": [{"rate.screen": 0.5}, {"rate.screen": 0.4}],
        "tuning": [{"sample.fraction": 0.05}, {"sample.fraction": 0.02}, {"sample.fraction": 0.01}],
        "evaluation": [{"evaluate.limit": 25}, {"evaluate.limit": 10}],
    }
