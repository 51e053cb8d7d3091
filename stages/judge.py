"""Judge: the tuned model's answers against those of the base model or of another adapter, by a judge behind an endpoint."""

import os
from pathlib import Path

from shed.common.atomic_io import write_json, write_jsonl
from shed.common.errors import ShedError
from shed.evaluation.generation import answer
from shed.evaluation.judge import Endpoint, Pair, judge, summarise
from shed.evaluation.questions import read_questions
from shed.params import Params
from stages import main
from stages.shared.settings.model import model_spec

KEPT = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "verdicts.jsonl"  # DVC_ROOT: shared by experiments in copies

KEY = "SHED_JUDGE_KEY"


def run(params: Params) -> None:
    settings = params.judge
    pairs, verdicts = [], []
    if settings.base_url is not None:
        endpoint = _endpoint(settings.base_url, str(settings.model))  # first, since the answers take minutes
        questions = read_questions(settings.questions)
        against = None if settings.against is None else Path(settings.against)
        ours, theirs = (
            answer(questions, model_spec(params), adapter, settings.max_new_tokens)
            for adapter in (Path("data/adapter"), against)
        )
        pairs = [Pair(str(i), *texts) for i, texts in enumerate(zip(questions, ours, theirs, strict=True), start=1)]
        verdicts = judge(pairs, endpoint, KEPT)
    by_order = {(verdict.id, verdict.ours_first): verdict for verdict in verdicts}
    rows = [
        {
            "question": pair.question,
            "ours": pair.ours,
            "theirs": pair.theirs,
            **{
                f"{what}_{order}": getattr(by_order[pair.id, first], what)
                for order, first in (("ours_first", True), ("theirs_first", False))
                for what in ("winner", "reply")
            },
        }
        for pair in pairs
    ]
    write_jsonl("data/verdicts.jsonl", rows)
    write_json("metrics/judge.json", summarise(verdicts, settings.seed))


def _endpoint(base_url: str, model: str) -> Endpoint:
    try:
        return Endpoint(base_url, model, os.environ.get(KEY))
    except ShedError as error:
        raise ShedError(f"${KEY}: {error}") from error


if __name__ == "__main__":
    main(run)
