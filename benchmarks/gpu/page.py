"""What a proof has found: as values, and as a page.

In: the device, what was asked for, the plan, what the stages took, and the project's metrics. Out: the values of results.json,
and the text of results.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.device import Device
from benchmarks.gpu.settings import PAPER, value_of
from benchmarks.gpu.stage_runs import Stages
from shed.common.atomic_io import read_json
from shed.data.formats.yaml_text import read_yaml

SHOWN = (  # params that the page compares with the paper's
    "C",
    "score.method",
    "score.removal.n",
    "score.removal.k",
    "score.dev_rows",
    "sampler",
    "sample.fraction",
    "rate.warm_rows",
    "rate.screen",
    "finetune.r",
    "finetune.epochs",
    "finetune.lr",
    "model.max_tokens",
    "fidelity.coalitions",
    "evaluate.limit",
    "evaluate.tasks",
    "verdict.seeds",
)
MEASURES = {"accuracy": "accuracy", "generation": "score of written answers", "loss": "loss, nats a response token"}
OF_TASKS = ("evaluate_base", "evaluate", "verdict")  # which read lm-eval's tasks, too, whose tokens nobody counts
NOT_A_GPU = "**This run was made on a processor. It shows that the command works, and says nothing of a GPU.**"
SMALL = "**It is smaller than what the command is meant for**, {rows:,} rows of 10,000: its accuracies and gains say little."
MEANT = 10_000  # rows
CUT = "Values that differ were set for a proof, whose pool is small, or cut to keep to the time, in this order: {cut}."
ABOUT_STAGES = (
    "A token pass is what a forward or a backward pass does to one token. Tokens of lm-eval's tasks are not counted, so stages "
    "that ask them have no rate. Seconds are of the stage's process, with all that it loads. They were planned as `shed plan` "
    "does it, from the model's speed here."
)
STOPPED = " Attempts that were stopped or failed, and count as far as they could be measured: {count}."
STAGES = (
    "stage",
    "seconds",
    "planned",
    "peak of the process, GB",
    "peak on the GPU, GB",
    "held on the GPU, GB",
    "token passes a second",
)
TASKS = ("task", "measure", "untuned", "tuned on the selection", "gain over random rows, 95 %")


def results(device: Device, asked: Mapping[str, Any], plan: Mapping[str, Any], stages: Stages, project: Path) -> dict[str, Any]:
    """All that was measured, as JSON has it."""
    taken, tasks = stages.taken(), read_json(project / "metrics/tasks.json")
    params, paper = (read_yaml(path, "file of params", "dvc") for path in (project / "params.yaml", PAPER))
    counted = {name: own for name, own in plan["passes"].items() if not (asked["tasks"] and name in OF_TASKS)}
    return {
        "device": asdict(device),
        "asked": dict(asked),
        "model_bytes": plan["speed"]["model_bytes"],
        "settings": {key: {"paper": value_of(paper, key), "here": value_of(params, key)} for key in SHOWN},
        "cut": plan["changes"],
        "fits": plan["fits"],
        "stages": {
            name: asdict(own)
            | {
                "planned": plan["seconds"].get(name),
                "token_passes_a_second": counted[name] / own.seconds if name in counted else None,
            }
            for name, own in taken.items()
        },
        "seconds": sum(one.seconds for one in stages.attempts),
        "stopped": sum(not one.finished for one in stages.attempts),
        "tasks": tasks,
        "verdict": read_json(project / "metrics/verdict.json"),
    }


def page(found: Mapping[str, Any]) -> str:
    """Markdown."""
    stopped = STOPPED.format(count=found["stopped"]) if found["stopped"] else ""
    cut = ", ".join(f"`{key}={value}`" for key, value in found["cut"].items()) or "nothing"
    notes = [] if found["device"]["gpu"] else [NOT_A_GPU, ""]
    if found["asked"]["rows"] < MEANT:
        notes += [SMALL.format(rows=found["asked"]["rows"]), ""]
    parts = [
        f"# The paper's settings on {found['device']['name']}",
        "",
        *notes,
        found["verdict"]["sentence"],
        "",
        *_facts(found),
        "",
        "## Settings",
        "",
        *_table(("param", "the paper's profile", "here"), _settings(found["settings"])),
        "",
        CUT.format(cut=cut),
        "",
        "## Stages",
        "",
        *_table(STAGES, _stages(found["stages"])),
        "",
        ABOUT_STAGES + stopped,
        "",
        "## Tasks",
        "",
        *_table(TASKS, _tasks(found)),
    ]
    return "\n".join(parts) + "\n"


def _facts(found: Mapping[str, Any]) -> list[str]:
    device, asked = found["device"], found["asked"]
    memory = f", {_giga(device['memory_bytes'])} GB" if device["gpu"] else ""
    fits = "" if found["fits"] else ", to which no cut could keep"
    return [
        f"- Device: {device['name']}{memory}; {device['cores']} cores; torch {device['torch']}",
        f"- Model: `{asked['model']}`, weights of {_giga(found['model_bytes'])} GB",
        f"- Pool: `{asked['pool']}`, at most {asked['rows']:,} rows",
        f"- Dev: `{asked['dev']}`; test: `{asked['test'] or 'some of the pool'}`",
        f"- Time: {found['seconds'] / 60:.0f} minutes; {asked['minutes']:g} were asked for{fits}",
    ]


def _settings(of: Mapping[str, Any]) -> Iterator[list[str]]:
    for key, own in of.items():
        here = _shown(own["here"])
        yield [f"`{key}`", _shown(own["paper"]), here if own["here"] == own["paper"] else f"**{here}**"]


def _stages(of: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, own in of.items():
        peaks = [_giga(own[key]) for key in ("peak_bytes", "gpu_bytes", "gpu_reserved_bytes")]
        planned, rate = own["planned"], own["token_passes_a_second"]
        seconds = f"{own['seconds']:.0f}" + ("" if own["whole"] else " or more")
        yield [name, seconds, "" if planned is None else f"{planned:.0f}", *peaks, "" if rate is None else f"{rate:,.0f}"]


def _tasks(found: Mapping[str, Any]) -> Iterator[list[str]]:
    base, tuned = found["tasks"]["base"], found["tasks"]["tuned"]
    for task, own in base.items():
        split, _, name = task.partition("_")
        gains = found["verdict"]["random_rows"][split].get(name, {})
        for measure in (one for one in MEASURES if one in own):
            values = [f"{one[task][measure]:.3f} ± {one[task][f'{measure}_stderr']:.3f}" for one in (base, tuned)]
            yield [task, MEASURES[measure], *values, _gain(gains.get(measure))]


def _gain(own: Mapping[str, float] | None) -> str:
    return f"{own['gain']:+.3f} [{own['low']:+.3f}, {own['high']:+.3f}]" if own else ""


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]


def _giga(size: int | None) -> str:
    return "" if size is None else f"{size / 1e9:.2f}"


def _shown(value: Any) -> str:
    return "all" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
