"""What a step of writing costs, in token passes: the model writes one token of each of several answers.

In: nothing but the packaged model. Out: benchmarks/writing_step.json: for each number of answers that are written at once the
token passes that take as long as a step, and what `shed.settings.costs.outlook` counts. Run it by `python -m
benchmarks.writing_step` on a machine that does nothing else; it takes half a minute.

A pass is timed on the prompts that the answers are to, read together; a step is what two lengths of answers differ by, so that
reading the prompts is not in it.
"""

import time
from pathlib import Path

import numpy as np

from shed.common.atomic_io import write_json
from shed.data.records import Record, single_turn
from shed.evaluation.generation import write
from shed.models.loading import LanguageModel, load_language_model
from shed.models.specs import ModelSpec
from shed.params import load_params
from shed.settings.costs.outlook import AN_ANSWER, STEP
from shed.valuation.costs.speed import measure
from stages.shared.settings.regime import scoring_regime

MODEL = ModelSpec("packaged/smollm2-135m-instruct", "plain", 512)
AT_ONCE = (1, 4, 16)
SHORT, LONG = 8, 40  # tokens of an answer


def main() -> None:
    loaded, rows = load_language_model(MODEL), records()
    read = float(np.median(measure(MODEL, rows, rows, scoring_regime(load_params(), 1)).forward))
    write(loaded.model, loaded.encoder, rows[:4], SHORT, 4)  # the first pass of all is slower
    found = {
        str(count): {
            "passes_a_step": step(loaded, rows[:count]) / read,
            "counted": STEP + AN_ANSWER * count,
        }
        for count in AT_ONCE
    }
    write_json(Path(__file__).with_suffix(".json"), {"seconds_a_pass": read, "at_once": found})


def records() -> list[Record]:
    """A question whose answer does not end early."""
    question = "Write a long story about a king and a river, with many names, and tell all that happens to them."
    return [single_turn(question, "Once there was a king by a river.", "made", str(n)) for n in range(max(AT_ONCE))]


def step(loaded: LanguageModel, rows: list[Record]) -> float:
    """Seconds of one step."""

    def seconds(tokens: int) -> float:
        began = time.perf_counter()
        texts = write(loaded.model, loaded.encoder, rows, tokens, len(rows))
        taken = time.perf_counter() - began
        if len(loaded.encoder.tokenizer(texts[0])["input_ids"]) < tokens - 1:
            raise SystemExit(f"the model ended its answer before {tokens} tokens; ask another question")
        return taken

    return (seconds(LONG) - seconds(SHORT)) / (LONG - SHORT)


if __name__ == "__main__":
    main()
