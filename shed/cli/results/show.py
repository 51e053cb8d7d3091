"""`shed show`: the result of a run on one or two screens, the verdict first.

In: what a run wrote. Out: the same facts as the report, in short.
"""

from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.cells import cell_len
from rich.console import Console

from shed.cli.project import BY_SCORES, Project, find_project
from shed.cli.results.summary import SHED_RUN, Summary, summarise
from shed.cli.results.tables import print_table, print_text, table_lines
from shed.cli.results.texts import one_line, shown_path
from shed.cli.terminal import Json, counted, show_result

Count = Annotated[int, Parameter(validator=Number(gte=0))]
CONTROLS = {
    "random_rows": "random rows of the same number",
    "random_tokens": "random rows with as many response tokens",
    "all_rows": "the whole pool",
}
MEASURES = {"loss": "loss", "choice_loss": "choice loss", "accuracy": "accuracy", "generation": "written"}
NAMES = {"shapley": "Shapley scores", "rating": "ratings"}  # of what `fidelity` tests
LONGEST_NAME, SHORT_NAME = 24, 10  # characters of a task's or a source's name
MOST_NOTES = 600  # characters


def show(*, clusters: Count = 10, examples: Count = 1, as_json: Json = False) -> None:
    """The result: the verdict, what the tuning did, what was selected, and the clusters with examples.

    Args:
        clusters: How many clusters to show, from the best score down.
        examples: How many questions of each cluster to show, from the nearest to its centre on.
    """
    project = find_project()
    summary = summarise(project, clusters, examples)
    found = {**summary.found, "missing": summary.missing}
    show_result(found, as_json, lambda console: draw(console, project, summary))


def draw(console: Console, project: Project, summary: Summary) -> None:
    """Print all parts that are there."""
    found = summary.found
    if "verdict" in found:
        _verdict(console, found["verdict"], found.get("items", {}))
    if summary.missing:
        files = sorted({name for names in summary.missing.values() for name in names})
        there = [part for part in summary.found if part not in ("files", "items")]
        begun = f"There: {', '.join(there)}. " if there and "verdict" not in found else ""
        print_text(console, f"{begun}Not there yet: {', '.join(summary.missing)} ({', '.join(files)}); {SHED_RUN}.")
        console.print()
    if "change" in found:
        _change(console, found["change"], found.get("items", {}))
    if "selection" in found:
        _sources(console, found["selection"])
    if "lengths" in found:
        _lengths(console, found["lengths"])
    if "clusters" in found:
        _clusters(console, found["clusters"])
    if "fidelity" in found:
        print_text(console, fidelity_line(found["fidelity"]))
        console.print()
    for what, name in found["files"].items():
        console.print(f"{what:<14}{shown_path(project.root, name)}", soft_wrap=True)


def _verdict(console: Console, verdict: dict[str, Any], items: dict[str, int]) -> None:
    before = "" if verdict["seeds"] else "Whether the selection is better than random rows: "
    print_text(console, f"{before}{verdict['sentence']}", style="bold")
    if "meaning" in verdict:
        print_text(console, verdict["meaning"])
    if verdict["of_another_selection"]:
        print_text(
            console, "This verdict is of an earlier selection, not of the one that is there now; `shed run` makes it anew."
        )
    console.print()
    for control, name in CONTROLS.items():
        if control in verdict:
            _gains(console, f"Gain on test over {name}", verdict[control]["test"])
    if verdict["seeds"]:
        on = f", on {counted(items['test_loss'], 'question')}" if "test_loss" in items else ""
        print_text(
            console,
            f"Above 0 the selection is better than the rows that were drawn. Brackets hold 95 % intervals, over "
            f"{verdict['seeds']} seeds{on}. Other draws differ by luck: it is called better if its gain is above that, too.",
        )
        console.print()


def _gains(console: Console, title: str, gains: dict[str, Any]) -> None:
    """A row for each task, the mean over them first; where a line is too short, intervals stand below the gains."""
    measures = [measure for measure in MEASURES if any(measure in of for of in gains.values())]
    tasks = {task: of for task, of in gains.items() if task == "all" or len(gains) > 2}  # the only task says the same as all
    head = ["task", *(MEASURES[measure] for measure in measures)]
    rows: list[list[str]] = []
    for between, longest in ((" ", LONGEST_NAME), ("\n", LONGEST_NAME), ("\n", SHORT_NAME)):
        rows = [
            [
                "all tasks" if task == "all" else one_line(task, longest),
                *(_interval(of[measure], measure, between) if measure in of else "none" for measure in measures),
            ]
            for task, of in tasks.items()
        ]
        if max(map(cell_len, table_lines(head, rows))) <= console.width:
            break
    print_table(console, title, head, rows)


def _interval(gain: dict[str, float], measure: str, between: str) -> str:
    form = _form(measure)
    return f"{gain['gain']:+z{form}}{between}[{gain['low']:z{form}}, {gain['high']:z{form}}]"


def _form(measure: str) -> str:
    return ".2f" if measure == "loss" else ".3f"


def _change(console: Console, found: dict[str, dict[str, float]], items: dict[str, int]) -> None:
    """The tuned model against the base model, with how many questions each measure rests on, as far as it is known."""
    rows = []
    for split in ("test", "dev"):
        for measure, name in MEASURES.items():
            key, form = f"{split}_{measure}", _form(measure)
            if all(key in own for own in found.values()):
                before, after, change = (found[one][key] for one in ("base", "tuned", "change"))
                error = found["change"][f"{key}_stderr"]
                told = [f"{split} {name}", f"{before:z{form}}", f"{after:z{form}}", f"{change:+z{form}} ± {error:{form}}"]
                rows.append([*told, *([f"{items[key]:,}" if key in items else "?"] if items else [])])
    head = ["measure", "base model", "tuned", "change ± standard error", *(["questions"] if items else [])]
    print_table(console, "The model before and after tuning on the selection", head, rows)


def _sources(console: Console, found: dict[str, Any]) -> None:
    rows = [
        [
            one_line(source, LONGEST_NAME),
            f"{own['pool']:,}",
            f"{own['share_of_pool']:.1%}",
            f"{own['selection']:,}",
            f"{own['share_of_selection']:.1%}",
            *([f"{own['prompt_fit_median']:.2f}"] if "prompt_fit_median" in own else []),
        ]
        for source, own in found["sources"].items()
    ]
    title = f"{found['rows']:,} of {counted(found['of'], 'record')} {'was' if found['rows'] == 1 else 'were'} selected"
    if found["left_out_as_too_long"]:
        title += f"; longer than the context, and so left out: {found['left_out_as_too_long']:,}"
    if found["left_out_by_prompt_fit"]:
        title += f"; below the prompt fit that is asked for, and so left out: {found['left_out_by_prompt_fit']:,}"
    judged = any("prompt_fit_median" in own for own in found["sources"].values())
    head = ["source", "in the pool", "share", "selected", "share", *(["median fit"] if judged else [])]
    print_table(console, title, head, rows)


def _lengths(console: Console, found: dict[str, dict[str, Any]]) -> None:
    rows = [
        [
            name,
            f"{own['response_tokens']:,}",
            f"{own['response_tokens_mean']:,.1f}",
            f"{own['response_tokens_median']:,.1f}",
            f"{own['response_tokens_max']:,}",
            f"{own['too_long']:,}",
        ]
        for name, own in found.items()
    ]
    head = ["response tokens", "all", "mean", "median", "longest", "cut to the context"]
    print_table(console, "Lengths", head, rows)


def _clusters(console: Console, found: dict[str, Any]) -> None:
    told = found["rows"]
    if not told:
        return
    rows = []
    for own in told:
        error = "" if own["stderr"] is None else f" ± {own['stderr']:.1g}"
        selected = "?" if own["selected"] is None else f"{own['selected']:,}"
        asked = "\n".join(one_line(example["prompt"]) for example in own["examples"])
        rows.append([str(own["rank"]), str(own["cluster"]), f"{own['score']:+.3g}{error}", f"{own['size']:,}", selected, asked])
    what = f" by {found['score_is']['name']}" if found["score_is"] else ""
    title = f"The best {len(rows)} of {found['of']} clusters{what}"
    if len(rows) < found["of"]:
        title += f" (all: --clusters {found['of']})"
    head = ["rank", "cluster", "score", "rows", "selected", "nearest the centre"]
    print_table(console, title, head, rows, left=0, cropped=True)
    if notes := found["score_is"].get("notes"):
        print_text(console, f"Note on these scores: {one_line(notes, MOST_NOTES)}.")
        console.print()
    if found["sampler"] not in (None, *BY_SCORES):
        print_text(
            console,
            f"The sampler {found['sampler']} takes no account of these scores: they tell what kinds of records help.",
        )
        console.print()


def fidelity_line(found: dict[str, Any]) -> str:
    """How far scores predict what was measured, in a sentence for each kind of score."""
    said = []
    for key, name in NAMES.items():
        regimes = [
            f"{_lds(found[regime][key])} in the {regime} regime{_of(found[regime])}"
            for regime in ("scoring", "target")
            if key in found.get(regime, {})
        ]
        if regimes:
            said.append(f"of {name} {', '.join(regimes)}")
    return f"Fidelity (LDS: rank correlation with the measured utility of unseen coalitions): {'; '.join(said)}."


def _of(regime: dict[str, Any]) -> str:
    return f" ({counted(regime['coalitions'], 'coalition')})" if "coalitions" in regime else ""


def _lds(own: dict[str, float | None]) -> str:
    if own["lds"] is None:
        return "unknown"
    if own["lds_low"] is None:
        return f"{own['lds']:z.2f} [too few coalitions for an interval]"
    return f"{own['lds']:z.2f} [{own['lds_low']:z.2f}, {own['lds_high']:z.2f}]"
