"""Evaluation through lm-eval on local task files, without a hub: correctness and loss of each question, and what is written.

In: a model and the dev and test records. Out: a table with a row for each item.
"""

import logging
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from shed.data.records import Record
from shed.evaluation.generation import Writing, expected, rouge_l, write
from shed.evaluation.named_tasks import Item, cross_entropy, evaluate_named
from shed.models.adapters import with_adapter
from shed.models.encoding import Encoded, Encoder
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from shed.evaluation.packed_lm import PackedLM


def evaluate(
    spec: ModelSpec,
    adapter: Path | None,
    splits: Mapping[str, Sequence[Record]],
    limit: int | None,
    batch_size: int,
    named: Sequence[str],
    writing: Writing | None = None,
) -> pd.DataFrame:
    """Evaluate a base model, or it with an adapter, on the first `limit` records of each source of each split.

    Args:
        named: lm-eval tasks of which `limit` items are measured, too, as of the split test; see `shed.evaluation.named_tasks`.
        writing: of how many of the records without options the model also writes the last turn; None: of none.

    Returns:
        A row for each item: `task` (split_source), `id`, `correct` (0 or 1; NaN where the record has no options; the option
        with the highest log-likelihood per character, lm-eval's acc_norm), `nats` (of the right response), `tokens` (whose loss
        that is, each as much as its turn counts), `choice_nats` (the cross-entropy over the options, whose scores are their
        log-likelihoods per character, as in the utility `choice_loss`; NaN where there are none), and `written` (from 0 to 1,
        ROUGE-L of what the model writes and the record's response, or what a named task scores; NaN where nothing is written).
        Items of a named task that is scored by what is written have nothing else.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from shed.evaluation.packed_lm import PackedLM

    loaded = load_language_model(spec)
    encoder = loaded.encoder
    groups: dict[str, list[Record]] = {}
    for split, records in splits.items():
        for record in records:
            groups.setdefault(f"{split}_{record.source}", []).append(record)
    groups = {name: records[:limit] for name, records in sorted(groups.items())}
    tasks = [_task(name, records, encoder) for name, records in groups.items()]
    lm = PackedLM(
        pretrained=_tuned(loaded.model, adapter, spec),
        tokenizer=encoder.tokenizer,
        batch_size=batch_size,
        max_length=encoder.limit,
        encoded={request: tokens for task in tasks for request, tokens in task.encoded.items()},
    )
    written = _written(lm, groups, encoder, batch_size, writing) if writing else {}
    items = [*_run(lm, tasks, written), *evaluate_named(lm, named, encoder.form, limit)]
    return pd.DataFrame(items, columns=list(Item._fields))


class _Task(NamedTuple):
    """An lm-eval task over records, and the tokens of its requests (context, continuation).

    What lm-eval calls the context is here the record's key: tokens are the `Encoder`'s, as in tuning.
    """

    lm_eval: Any
    encoded: dict[tuple[str, str], Encoded]


def _written(
    lm: "PackedLM", groups: Mapping[str, Sequence[Record]], encoder: Encoder, batch_size: int, writing: Writing
) -> dict[str, float]:
    """The score of each written answer, by the key of its document."""
    asked = {_key(name, n): records[n] for name, records in groups.items() for n in writing.places(records)}
    texts = write(lm.model, encoder, list(asked.values()), writing.max_new_tokens, batch_size)
    return {key: rouge_l(text, expected(encoder, asked[key])) for key, text in zip(asked, texts, strict=True)}


def _key(task: str, n: int) -> str:
    return f"{task}/{n}"


def _run(lm: "PackedLM", tasks: Sequence[_Task], written: Mapping[str, float]) -> list[Item]:
    from lm_eval import evaluate as run_tasks  # its `simple_evaluate` asks programs about the machine for two seconds
    from lm_eval.tasks import TaskManager

    own = TaskManager(include_defaults=False).load([task.lm_eval for task in tasks])
    results = run_tasks(lm, own, bootstrap_iters=0, log_samples=True)
    encoded = {request: tokens for task in tasks for request, tokens in task.encoded.items()}
    rows: list[Item] = []
    for name, samples in results["samples"].items():
        for sample in samples:
            document = sample["doc"]
            nats = [-float(scored[0]) for scored in sample["filtered_resps"]]
            right, correct, choice_nats = 0, np.nan, np.nan
            if document["choices"]:
                right, correct = document["answer"], float(sample["acc_norm"])
                choice_nats = cross_entropy(nats, document["choices"], right)
            tokens = encoded[tuple(sample["arguments"][right])].response_weight
            score = written.get(document["key"], np.nan)
            rows.append(Item(name, document["id"], correct, nats[right], tokens, choice_nats, score))
    return rows


def _task(name: str, records: Sequence[Record], encoder: Encoder) -> _Task:
    """From the local task file for records with options, or without."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    file = "choice.yaml" if all(record.choices for record in records) else "response.yaml"
    documents: list[dict[str, Any]] = []
    encoded: dict[tuple[str, str], Encoded] = {}
    for n, record in enumerate(records):
        key = _key(name, n)
        choices = list(record.choices) if file == "choice.yaml" else []
        documents.append(
            {
                "id": record.id,
                "key": key,
                "choices": choices,
                "answer": record.answer if choices else None,
            }
        )
        if choices:
            encoded |= {(key, choice): own for choice, own in zip(choices, encoder.encode_options(record), strict=True)}
        else:
            encoded[key, key] = encoder.encode(record, end=False)
    config = yaml.safe_load((files("shed.evaluation") / "tasks" / file).read_text(encoding="utf-8"))
    config |= {"task": name, "custom_dataset": lambda: {"test": Dataset.from_list(documents)}}
    return _Task(ConfigurableTask(config=config), encoded)


def _tuned(model: "PreTrainedModel", adapter: Path | None, spec: ModelSpec) -> "PreTrainedModel":
    if adapter is None:
        return model
    import torch

    tuned = with_adapter(model, adapter, spec.where)
    # in a narrow dtype a merged weight is rounded, and small changes are lost
    return tuned.merge_and_unload() if model.dtype == torch.float32 else tuned.get_base_model()
