"""`shed plan`: what `shed run` would do, and about what it costs, before it is paid for.

In: a project, and changes of params that are not made. Out: for each stage whether it runs, why, and its time, FTE, memory and
disk.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import chdir
from dataclasses import asdict
from typing import Any

from rich.console import Console

from shed.cli.project import BY_SCORES, Project, find_project
from shed.cli.running.changes import Changed, naming_changes, what_would_run
from shed.cli.running.run import Changes
from shed.cli.terminal import Json, about, show_result, tell
from shed.params import Params

REASONS = 3  # of a stage, that are shown
LEAST = {  # what makes a stage cheap
    "score": "a smaller C or score.budget.fte",
    "fidelity": "fewer fidelity.coalitions and fidelity.target_coalitions",
}
CHEAPER = LEAST | {  # and changes what is selected, or how well it is tested
    "rate": "a smaller data.pool_rows, or rate.screen",
    "finetune": "a smaller sample.fraction or finetune.epochs",
    "evaluate": "a smaller evaluate.limit",
    "evaluate_base": "a smaller evaluate.limit",
    "verdict": "a smaller sample.fraction, evaluate.limit or finetune.epochs, or verdict.seeds=0 for no verdict",
}
DURING_A_RUN = (
    "A run is going on in this project. What it has not finished counts as not begun. It shares the machine with the timing, so"
    " that times are too long."
)
FOLLOWS = "what it reads may change"


def plan(*, changes: Changes = None, as_json: Json = False) -> None:
    """What would run now, or with changes of params, why, and about what it costs. Nothing is changed.

    Where a stage uses the model, the model is timed for some seconds. While a run goes on, what it has not finished counts as
    not begun.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # no bars; read when tqdm is imported
    project = find_project()
    with chdir(project.root):
        from stages import KEYS, naming_keys

        with naming_changes(changes or ()), naming_keys(KEYS):
            found = _planned(project, changes or ())
    show_result(found, as_json, lambda console: draw(console, found))


def _planned(project: Project, changes: Sequence[str]) -> dict[str, Any]:
    """What would run, and what it would cost."""
    from shed.cli.running.outside import new_inputs
    from shed.settings.engine import check_engine
    from shed.tuning.tracking import check_installed

    tell("looking what has changed ...")
    changed = what_would_run(project, changes, new_inputs)
    check_installed(changed.params.tracking.report_to)
    check_engine(changed.params.engine)
    by_itself = {name for name, runs in changed.runs.items() if runs != "no"} - changed.each_time
    about_run = {"select_nothing": idle_stages(changed.params, by_itself), "during_a_run": changed.during_a_run}
    found = _stages(changed, {}) | about_run
    if not by_itself:
        return found
    from shed.cli.running.estimate import estimate

    costs = estimate(changed, tell)
    return found | _stages(changed, costs.of) | costs.about


def idle_stages(params: Params, stages: Collection[str]) -> list[str]:
    """Those of these stages whose work takes no part in the selection, since the sampler goes by something else."""
    return [] if params.sampler in BY_SCORES else [name for name in ("score", "fidelity") if name in stages]


def _stages(changed: Changed, costs: Mapping[str, Any]) -> dict[str, Any]:
    stages = [
        {"stage": name, "runs": runs, "why": changed.why.get(name, []), **(asdict(costs[name]) if name in costs else {})}
        for name, runs in changed.runs.items()
    ]
    total = {end: sum(getattr(one, end) for one in costs.values()) for end in ("low", "seconds", "high")}
    sure = sum(one.seconds for name, one in costs.items() if changed.runs[name] == "yes")
    return {"stages": stages, "total": {**total, "sure": sure}}


def draw(console: Console, found: Mapping[str, Any]) -> None:
    """A table of the stages that run, and what holds for all."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if found["during_a_run"]:
        console.print(DURING_A_RUN)
    running = [one for one in found["stages"] if one["runs"] != "no"]
    if not any(one["why"] or one["runs"] == "maybe" for one in running):
        console.print("Nothing has changed: `shed run` looks whether anything outside has, and runs nothing else.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("stage", "time", "FTE", "memory", "disk"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for one in running:
        why = ", ".join(one["why"][:REASONS]) + (f" and {more} more" if (more := len(one["why"]) - REASONS) > 0 else "")
        if one["runs"] == "maybe":
            why = FOLLOWS
        cells = [one["stage"], *_cells(one), why or "looks what has changed outside"]
        table.add_row(*map(Text, cells))
    console.print(table)
    for line in told(found):
        console.print(line)


def told(found: Mapping[str, Any]) -> list[str]:
    """What is said below the table."""
    total, lines = found["total"], []
    lines.append(f"In all about {about(total['seconds'])}, likely between {about(total['low'])} and {about(total['high'])}.")
    if about(total["sure"]) != about(total["seconds"]):
        lines.append(
            f"Stages that run for sure take {about(total['sure'])} of it; the others run unless what they read stays the same."
        )
    timed = [one for one in found["stages"] if "seconds" in one and one["runs"] != "no"]
    if timed and (most := max(timed, key=lambda one: one["seconds"]))["stage"] in CHEAPER:
        lines.append(f"{most['stage']} takes {about(most['seconds'])} of it; {CHEAPER[most['stage']]} makes it cheaper.")
    if any(one.get("fte") for one in found["stages"]):
        lines.append("FTE: fine-tune equivalents; one is what tuning and measuring once on the proxies of all clusters costs.")
    if idle := found["select_nothing"]:
        lines.append(
            f"The sampler goes by no scores of clusters, so that the work of {' and '.join(idle)} takes no part in the "
            f"selection. What makes it cheaper, and selects the same rows: {', '.join(LEAST[name] for name in idle)}."
        )
    if "timed" in found:
        own = found["timed"]
        lines.append(
            f"A token pass takes {own['read_ms']:.2g} ms here to read and {own['tuned_ms']:.2g} ms to tune, timed "
            f"{own['times']} times each; these differ by up to {own['spread']:.0%}, and a stage may be off by {own['off']:.0%} "
            "besides."
        )
    if runs := found.get("verdict_runs"):
        least = "" if runs["selection_known"] else "at least "
        one = ", of which one is the final tuning itself" if runs["final_is_one"] else ""
        lines.append(
            f"The verdict rests on {runs['asked']} runs{one}; {least}{runs['there']} are in the ledger and cost nothing."
        )
    if found.get("at_most"):
        lines.append("Scoring is counted as what its budget allows; utilities that are in its ledger cost nothing.")
    lines += [f"warning: {line}" for line in found.get("warnings", [])] + found.get("notes", [])
    lines.append("Memory is about what a stage takes at its peak; disk is what it writes, with DVC's copy.")
    if gpu := found.get("timed", {}).get("gpu_memory"):
        lines.append(f"Of the GPU's memory the timed passes took {gpu / 1e9:.1f} GB.")
    return lines


def _cells(one: Mapping[str, Any]) -> list[str]:
    if "seconds" not in one:
        return ["?", "", "", ""]
    disk = one["disk"] / 1e6
    return [
        about(one["seconds"]),
        f"{one['fte']:.3g}" if one["fte"] else "",
        f"{one['memory'] / 1e9:.1f} GB",
        f"{disk:.0f} MB" if disk >= 1 else "",
    ]
