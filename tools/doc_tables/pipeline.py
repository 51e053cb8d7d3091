"""What the pipeline is: its stages, its params, the rooms of the code, and what its last run measured.

In: `dvc.yaml`, `params.yaml`, the imports of the code, `metrics/*.json`. Out: pictures in Mermaid, and tables.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from shed.common.import_closure import ROOT
from shed.params import Params, describe, load_params
from tools.doc_tables.markdown import TASKS, Block, code, table
from tools.doc_tables.values import result

Graph = dict[str, set[str]]
BOOLEANS = {"True": "true", "False": "false"}  # as YAML writes them
TOP = ("experiments", "stages")
NOT_YET = "not measured yet"
WORTH_TELLING = 20  # seconds of a stage


def stages_picture() -> str:
    """The stages, each with an arrow to those that read what it writes; arrows that follow from others are left out."""
    stages = _stages()
    makers = {out: name for name, stage in stages.items() for out in _outs(stage)}
    graph = {name: {makers[dep] for dep in stage["deps"] if dep in makers} - {name} for name, stage in stages.items()}
    return mermaid(
        "flowchart LR", [f"{source} --> {name}" for name, sources in reduced(graph).items() for source in sorted(sources)]
    )


def stages_table() -> str:
    """What each stage makes, and the params that it reads."""
    rows = []
    for name, stage in _stages().items():
        params = [one for group in stage.get("params", []) for one in _params(group)]
        rows.append([code(name), stage["desc"], ", ".join(map(_param, params))])
    return table(["stage", "makes", "params that it reads"], rows)


def rooms_picture() -> str:
    """The rooms of the code, each with an arrow to those that it imports from; arrows that follow from others are left out."""
    modules = [path for top in (*TOP, "shed") for path in sorted((ROOT / top).rglob("*.py"))]
    graph: Graph = {}
    for path in modules:
        room = room_of(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))
        if room is not None:
            own = graph.setdefault(room, set())
            own |= {found for module in imported(path) if (found := room_of(module)) not in (room, None)}
    lines = [f"{_node(room)} --> {_node(other)}" for room, others in reduced(graph).items() for other in sorted(others)]
    return mermaid("flowchart TD", lines)


def room_of(module: str) -> str | None:
    """The room of a module by its dotted name; None for a module of other projects, and for an empty package."""
    top, *rest = module.split(".")
    if top in TOP:
        return f"{top}/"
    if top != "shed" or not rest or rest[-1] == "__init__":
        return None
    if rest[:2] == ["valuation", "estimators"]:
        return "shed/valuation/estimators/"
    return f"shed/{rest[0]}/" if (ROOT / "shed" / rest[0]).is_dir() else f"shed/{rest[0]}.py"


def imported(path: Path) -> Iterator[str]:
    """The names that a file imports, at its top or inside functions, each with what it takes from a package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if _is_package(node.module):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def reduced(graph: Mapping[str, set[str]]) -> Graph:
    """A graph without circles, without the edges that follow from others."""

    def beyond(node: str) -> set[str]:
        return {far for near in graph.get(node, ()) for far in (near, *beyond(near))}

    return {
        node: {own for own in others if not any(own in beyond(other) for other in others)} for node, others in graph.items()
    }


def mermaid(kind: str, lines: list[str]) -> str:
    return "\n".join(["```mermaid", kind, *(f"  {line}" for line in lines), "```"])


def params_tables() -> str:
    """Every key of `params.yaml` with its default and meaning, a table for each section."""
    params = load_params(ROOT / "params.yaml")
    sections: dict[str, list[list[str]]] = {}
    for line in describe(params):
        section = line.name.partition(".")[0] if "." in line.name else "at the top"
        value = BOOLEANS.get(line.value, line.value)
        sections.setdefault(section, []).append([code(line.name), code(value), line.meaning.replace("|", "\\|")])
    titles = {name: name if name not in Params.model_fields else code(name) for name in sections}
    return "\n\n".join(f"### {titles[name]}\n\n{table(['key', 'default', 'meaning'], rows)}" for name, rows in sections.items())


def tasks_table() -> str:
    """The last run of the pipeline: each task before and after tuning, and the paired change."""
    found = result("metrics/tasks")
    named = {f"dev_{next(iter(TASKS))}": "dev: CommonsenseQA"} | {
        f"test_{task}": f"test: {name}" for task, name in TASKS.items()
    }
    rows = []
    for task, shown in named.items():
        before, after, change = (found[what][task] for what in ("base", "tuned", "change"))
        rows.append([shown])
        for measure, digits in (("accuracy", 3), ("loss", 2)):
            error = change[f"{measure}_stderr"]
            rows[-1] += [
                f"{before[measure]:.{digits}f}",
                f"{after[measure]:.{digits}f}",
                f"{change[measure]:+.{digits}f} ± {error:.{digits}f}",
            ]
    return table(["task", "accuracy untuned", "tuned", "change", "loss untuned", "tuned", "change"], rows)


def is_due(path: str) -> bool:
    """True if the value at a path is of a metrics file that a stage makes, and has not made yet."""
    folder, file, *_ = f"{path}/".split("/")
    made = f"{folder}/{file}.json"
    return not (ROOT / made).exists() and any(made in _outs(stage) for stage in _stages().values())


def _stages() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return found


def _outs(stage: Mapping[str, Any]) -> set[str]:
    listed = [one for kind in ("outs", "metrics", "plots") for one in stage.get(kind, [])]
    return {name for one in listed for name in ([one] if isinstance(one, str) else one)}


def _params(group: str | dict[str, Any]) -> list[str]:
    """The params of an entry; one that names a whole file is all of them."""
    if isinstance(group, str):
        return [group]
    return [one for keys in group.values() for one in (keys or [""])]


def _param(name: str) -> str:
    """A param as a reader sees it; a templated one in words."""
    if found := re.search(r"\$\{([\w.]+)\}", name):
        return f"the section that {code(found[1])} names"
    return code(name) if name else "all of them"


def _node(room: str) -> str:
    return f'{room.replace("/", "_").replace(".", "_")}["{room}"]'


def _is_package(module: str) -> bool:
    return (ROOT / module.replace(".", "/") / "__init__.py").is_file()


def soak() -> str:
    """How often the stories of kills and damage were told in the last soak, and none of them failed."""
    found = result("benchmarks/soak")
    rows = [(what, count, own["commit"]) for own in found.values() for what, count in own["done"].items()]
    return table(["story", "times", "commit"], [[what, f"{count:,}", code(commit)] for what, count, commit in sorted(rows)])


def mutants() -> str:
    """How many faults that were put into the code a test found, by room."""
    rooms: dict[str, Counter[str]] = {}
    for module, counts in result("benchmarks/mutants")["modules"].items():
        name = module if module.startswith("shed/evaluation") else module.rpartition("/")[0]
        rooms.setdefault(name, Counter()).update(counts)
    tried = {name: own for name, own in rooms.items() if own["tried"]}
    rows = [
        [code(name), *(f"{own[one]:,}" for one in ("places", "tried", "found")), f"{own['found'] / own['tried']:.0%}"]
        for name, own in sorted(tried.items())
    ]
    return table(["code", "places for a fault", "tried", "found", "share"], rows)


def survivors() -> str:
    """Why the other faults were not found."""
    reasons = Counter(str(one["reason"]).partition(":")[0] for one in result("benchmarks/mutants")["survivors"])
    return table(["why no test finds them", "faults"], [[reason, str(count)] for reason, count in reasons.most_common()])


def planned_times() -> str:
    """What `shed plan` told of runs, and what they took."""
    rows = []
    for pool, found in result("benchmarks/planned_times").items():
        every = found["all"]
        costly = {name: own for name, own in found["stages"].items() if own["measured"] >= WORTH_TELLING}
        ratios = {name: own["planned"] / own["measured"] for name, own in costly.items()}
        farthest = max(ratios, key=lambda name: abs(math.log(ratios[name])))
        rows.append(
            [
                pool,
                *(f"{every[one] / 60:.1f}" for one in ("planned", "low", "high", "measured")),
                f"{every['planned'] / every['measured']:.2f}",
                f"{code(farthest)} {ratios[farthest]:.2f}",
            ]
        )
    return table(
        ["pool", "planned, minutes", "at least", "at most", "measured", "planned / measured", "the stage that is farthest off"],
        rows,
    )


BLOCKS: dict[str, Block] = {
    "planned times": planned_times,
    "mutants": mutants,
    "survivors": survivors,
    "soak": soak,
    "picture of the stages": stages_picture,
    "stages": stages_table,
    "picture of the rooms": rooms_picture,
    "params": params_tables,
    "the default run": tasks_table,
}
