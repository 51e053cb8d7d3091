"""What all of the study rests on: settings, the model, the splits and their lengths.

In: where rows are, and settings, those of a new project if no others are given. Out: a `Setup`, and a description of it, by
which results that were kept are known to belong to it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from experiments.realistic.sources import QUESTIONS, read_sources
from experiments.realistic.splits import Sizes, Splits, split
from shed.common.atomic_io import read_json, write_json, write_jsonl, write_text
from shed.common.errors import ShedError
from shed.data.records import Record
from shed.library.settings import read_settings
from shed.models.checks import check_model
from shed.models.encoding import Encoder
from shed.models.loading import manifest
from shed.models.record_lengths import record_lengths
from shed.models.specs import LoraSettings, ModelSpec
from shed.params import Params
from shed.settings.models import model_spec
from shed.settings.reading import reader_settings
from shed.settings.tuning import tuning_settings

SEED = 1  # of the splits
STUDY = "study.json"
SAME = ("model", "max_tokens", "prompt", "tuning", "signals", "sizes", "records")  # in all runs of a study
SIGNALS = ("C", "cluster", "embed", "rate", "regime", "score")  # the settings that signals depend on
NUMBER = (
    r"(-?[$0-9.,]{2,})|(-?[0-9]+)"  # the last one of an answer is its result, as lm-eval's flexible filter for GSM8K has it
)
MOST_WRITTEN = 200  # tokens of an answer, and not more than half of the context


@dataclass(frozen=True)
class Setup:
    """Settings, models and records.

    Attributes:
        params: all settings; those of the data's own paths and sizes are not used.
        manifest: what identifies the model's weights.
    """

    params: Params
    spec: ModelSpec
    manifest: dict[str, Any]
    encoder: Encoder
    splits: Splits
    sizes: Sizes

    @classmethod
    def of(cls, where: str, sizes: Sizes, settings: Path | None) -> "Setup":
        """Read the rows and split them.

        Args:
            where: a folder or a recipe, as `read_sources` takes it.
            settings: a params file; None: those of a new project.

        Raises:
            ShedError: a setting is wrong, the model cannot be used, or rows cannot be read or are too few.
        """
        params = read_settings(settings, {})
        name = params.model.name
        known = manifest(name, "language model") | {"name": name}
        spec = model_spec(params.model, known.get("revision"))
        loras = [LoraSettings(1, 1, params.regime.modules, params.regime.depth), LoraSettings(1, 1, params.finetune.modules)]
        encoder = check_model(spec, loras)

        def fits(record: Record) -> bool:
            if encoder.unfit(record):
                return False
            try:
                own = encoder.encode(record, end=True)
            except ShedError:  # nothing of its response fits
                return False
            return not (own.cut or own.turns_cut or own.response_cut)

        sources = read_sources(where, reader_settings(params.data.reading))
        return cls(params, spec, known, encoder, split(sources, sizes, SEED, fits), sizes)

    @cached_property
    def lengths(self) -> pd.DataFrame:
        """`id`, `source`, `tokens` and `response_tokens` of each pool record."""
        table = record_lengths(self.encoder, self.splits.pool).drop(columns="too_long")
        return table.assign(source=[record.source for record in self.splits.pool])

    @cached_property
    def measured_tokens(self) -> int:
        """That one evaluation reads, without what answers are written to."""
        return sum(len(one.tokens) for one in self.encoder.encode_all([*self.splits.dev, *self.splits.test], end=False))

    def described(self) -> dict[str, Any]:
        """What runs depend on beside their rows and seeds, and what a reader wants to know of the splits."""
        params, dumped = self.params, self.params.model_dump(mode="json")
        splits, tuning = self.splits, replace(tuning_settings(params.finetune, 0), seed=0)
        rated = [record for own in splits.rated.values() for record in own]
        by_source = self.lengths.groupby("source")
        return {
            "model": self.manifest,
            "max_tokens": self.spec.max_tokens,
            "prompt": self.spec.form,
            "tuning": asdict(tuning),
            "signals": {name: dumped[name] for name in SIGNALS} | {"embedder": manifest(params.embed.model, "embedder")},
            "sizes": asdict(self.sizes),
            "rows": splits.counts(),
            "pool_tokens_mean": float(self.lengths["tokens"].mean()),
            "pool_response_tokens_mean": float(self.lengths["response_tokens"].mean()),
            "response_tokens_mean": by_source["response_tokens"].mean().to_dict(),
            "measured_tokens": self.measured_tokens,
            "records": {
                "pool": digest(splits.pool),
                "rated": digest(rated),
                "dev": digest(splits.dev),
                "test": digest(splits.test),
                "questions": digest(splits.questions),
            },
        }

    @cached_property
    def key(self) -> str:
        """16 hex digits of all that signals and runs depend on: what one study has begun is no other one's."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()[:16]

    def check(self, folder: Path) -> None:
        """Describe it in a folder of results, or refuse one that describes another.

        Raises:
            ShedError: the folder has results of other records or settings.
        """
        path, own = folder / STUDY, self.described()
        if not path.is_file():
            write_json(path, own)
            return
        kept = read_json(path)
        differ = [
            key
            for key in ("model", "max_tokens", "prompt", "tuning", "signals", "sizes", "records")
            if kept.get(key) != own[key]
        ]
        if differ:
            raise ShedError(
                f"{path}: has results of other {', '.join(differ)}; name another folder by --results, or remove this one"
            )

    def question_task(self, folder: Path) -> list[str]:
        """The file of an lm-eval task of the questions, written to a folder; none without questions."""
        if not self.splits.questions:
            return []
        most = min(MOST_WRITTEN, self.spec.max_tokens // 2)
        rows, task = folder.absolute() / f"{QUESTIONS}.jsonl", folder / f"{QUESTIONS}.yaml"
        write_jsonl(rows, ({"question": one.prompt, "answer": one.response} for one in self.splits.questions))
        config = {
            "task": QUESTIONS,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(rows)}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "Question: {{question}}\nAnswer:",  # as the plain form has it
            "doc_to_target": "{{answer.split('#### ')[-1]}}",
            "generation_kwargs": {"until": ["Question:", "<|im_end|>"], "do_sample": False, "max_gen_toks": most},
            "filter_list": [
                {
                    "name": "last-number",
                    "filter": [
                        {"function": "regex", "group_select": -1, "regex_pattern": NUMBER},
                        {"function": "take_first"},
                    ],
                }
            ],
            "metric_list": [
                {
                    "metric": "exact_match",
                    "aggregation": "mean",
                    "higher_is_better": True,
                    "ignore_case": True,
                    "regexes_to_ignore": [",", r"\$", r"\.$"],
                }
            ],
        }
        write_text(task, yaml.safe_dump(config, sort_keys=False))
        return [str(task)]


def digest(records: Sequence[Record]) -> str:
    """16 hex digits of the texts of records in their order."""
    return hashlib.sha256("\n".join(one.id for one in records).encode()).hexdigest()[:16]
