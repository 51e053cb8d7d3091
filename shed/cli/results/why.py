"""`shed why`: what became of a record, why, and what would have changed it.

In: an id, a place in the user's own file, or a part of a record's text. Out: the way of that record through the pipeline.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from shed.cli.project import find_project
from shed.cli.results.finding import REJECTS, Found, by_id, find, read_files
from shed.cli.results.tables import print_table, print_text
from shed.cli.results.texts import one_line
from shed.cli.terminal import Json, counted, show_result
from shed.common.errors import ShedError

LISTED = 10
LABEL = 12  # characters
MOST_TEXT = 600  # characters of a prompt or a response
COPIES = 5
if TYPE_CHECKING:
    What = str
else:
    What = str | Path  # a text, for which a shell completes files


def why(what: What, /, *, as_json: Json = False) -> None:
    """What became of a record, why, and what would have changed it.

    Args:
        what: A record's id or its first six or more characters, FILE:LINE of your own file (the end of its path will do;
            entries and rows count, too), or a part of its text.
    """
    project = find_project()
    files = read_files(project.root)
    found = find(project.root, files, what)
    subjects = {one.id or one.row["origin"]: one for one in reversed(found)}
    if len(subjects) > 1:
        several(list(reversed(subjects.values())), as_json)
    rows = found
    if found[0].id is not None:  # copies that stand elsewhere, too
        asked = {(one.file, one.place) for one in found}
        rows = [*found, *(one for one in by_id(files, found[0].id) if (one.file, one.place) not in asked)]
    del files
    from shed.cli.results.story import story

    told = story(project, rows)
    show_result(told, as_json, lambda console: draw(console, told))


def several(found: Sequence[Found], as_json: bool) -> None:
    """List them, and ask for one.

    Raises:
        ShedError: always.
    """
    hits = [
        {"id": one.id, "in": one.file, "split": one.split, "origin": one.row["origin"], "prompt": one.says} for one in found
    ]
    listed = {"records": len(hits), "hits": hits[:LISTED]}

    def draw_hits(console: Console) -> None:
        rows = [
            [
                hit["id"] or one_line(hit["origin"], 40),
                hit["split"] if hit["in"] != REJECTS else "set aside",
                one_line(hit["prompt"]),
            ]
            for hit in hits[:LISTED]
        ]
        title = "The first ten:" if len(hits) > LISTED else "These are:"
        print_table(console, title, ["id", "in", "prompt"], rows, left=2, cropped=True)

    show_result(listed, as_json, draw_hits)
    sys.stdout.flush()
    raise ShedError(f"{len(hits):,} records are meant; name one by its id")


def draw(console: Console, told: dict[str, Any]) -> None:
    """Print a record's way."""
    _line(console, "record", f"{told['id'] or 'none'}, of the source {one_line(told['source'])}")
    _line(console, "read from", one_line(told["origin"]))
    _line(console, "prompt" if told["id"] else "text", one_line(told["prompt"], MOST_TEXT))
    if told["response"] is not None:
        _line(console, "response", one_line(told["response"], MOST_TEXT))
    console.print()
    _prepared(console, told)
    if "tokens" in told:
        own = told["tokens"]
        cut = "; longer than the context, which cuts it" if own["too_long"] else "; not cut"
        _line(console, "tokens", f"{own['tokens']:,}, of which the response has {own['response_tokens']:,}{cut}")
    if "prompt_fit" in told:
        own = told["prompt_fit"]
        _line(console, "prompt fit", f"{own['fit']:.2f}; {own['lower']:,} of {counted(own['of'], 'record')} fit worse")
    if "cluster" in told:
        _line(console, "cluster", _cluster(told["cluster"]))
    if "rating" in told:
        own = told["rating"]
        unit = f" {own['unit']}" if own and own.get("unit") else ""
        where = f"{own['rating']:.3g}{unit}, rank {own['rank']:,} of {own['of']:,}" if own else "none; the screen left it out"
        _line(console, "rating", where)
    if "selection" in told:
        own = told["selection"]
        yes = f"yes, as {own.get('place')} of {own['rows']:,}: {one_line(own.get('reason', ''))}"
        _line(
            console,
            "selected",
            yes if own["selected"] else f"no, {counted(own['rows'], 'other')} {'was' if own['rows'] == 1 else 'were'}",
        )
        for sentence in own["because"]:
            _line(console, "", one_line(sentence))
    elif told.get("of_another_pool"):
        _line(console, "", "the tables of later stages are of an earlier pool; `shed run` makes them anew")
    elif told["kept_in"] == "pool":
        _line(console, "selected", "not yet known: the stage sample has not run; `shed run` goes on")
    if told.get("neighbours"):
        console.print()
        rows = [
            [
                f"{one['similarity']:.3f}",
                one["id"],
                {True: "selected", False: "no", None: "?"}[one["selected"]],
                one_line(one["prompt"]),
            ]
            for one in told["neighbours"]
        ]
        print_table(
            console,
            "The most similar records of the pool (cosine of the embeddings)",
            ["cosine", "id", "selected", "prompt"],
            rows,
            left=3,
            cropped=True,
        )


def _prepared(console: Console, told: dict[str, Any]) -> None:
    """What `prepare` did with the record and with its copies."""
    split = told["kept_in"]
    if split:
        use = {
            "pool": "kept in the pool",
            "dev": "kept in dev, which defines what is useful; it is not to be selected",
            "test": "kept in test, which only evaluation sees; it is not to be selected",
        }[split]
        _line(console, "prepare", use + (f"; damaged on purpose: {told['fault']}" if "fault" in told else ""))
    for number, own in enumerate(told["set_aside"][:COPIES]):
        meaning = f": {own['meaning']}" if own["meaning"] else ""
        like = f"; like {own['of']}, Jaccard similarity {own['similarity']:.2f}" if "of" in own else ""
        copy = f" (a copy, {one_line(own['origin'])})" if split else ""
        label = "prepare" if number == 0 and not split else ""
        _line(console, label, f"set aside from {own['split']}{copy}: {one_line(own['reason'])}{meaning}{like}")
    if len(told["set_aside"]) > COPIES:
        _line(console, "", f"and {counted(len(told['set_aside']) - COPIES, 'more copy', 'more copies')}")


def _cluster(own: dict[str, Any]) -> str:
    said = f"{own['cluster']}, of {counted(own['size'], 'row')}"
    if "rank" in own:
        error = "" if own["stderr"] is None else f" ± {own['stderr']:.1g}"
        said += f"; its score {own['score']:+.3g}{error} is rank {own['rank']} of {own['of']}"
    nearer = own["nearer_the_centre"]
    stands = "the record is the proxy that stands for it" if own["is_proxy"] else "the record is not its proxy"
    count = f"{nearer:,} {'row is' if nearer == 1 else 'rows are'}" if nearer else "no row is"
    return f"{said}; {stands}; its distance from the centre is {own['distance']:.3f}, and {count} nearer"


def _line(console: Console, label: str, text: str) -> None:
    """A label, and a text that goes on below itself."""
    print_text(console, text, label, LABEL)
