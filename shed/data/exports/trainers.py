"""Configs with which TRL, axolotl and LLaMA-Factory tune on exported rows as the project's final tuning would.

In: settings and which forms hold which rows. Out: files in `configs/`. Values are data in JSON and YAML, never code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from shed.common.atomic_io import write_text
from shed.data.exports.card import FormCounts
from shed.data.exports.forms import Form, TrainOn

ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class TrainerSettings:
    """The final tuning, in plain values.

    Attributes:
        model: a hub id or a folder.
        r, alpha: of LoRA.
        modules: names of linear layers, or `all-linear`.
        lr: peak learning rate, which rises and falls linearly.
        warmup_ratio: share of the steps in which it rises.
        batch_size: rows a step.
        epochs: passes over the rows.
        seed: of initial weights and order.
        max_tokens: longer rows are cut by the trainer.
    """

    model: str
    r: int
    alpha: int
    modules: Sequence[str] | str
    lr: float
    warmup_ratio: float
    batch_size: int
    epochs: int
    seed: int
    max_tokens: int

    @property
    def module_names(self) -> list[str] | None:
        """None for all linear layers."""
        names = [self.modules] if isinstance(self.modules, str) else list(self.modules)
        return None if names == [ALL_LINEAR] else names

    def warmup_steps(self, rows: int) -> int:
        """A number of steps, since the trainers' versions differ in how they take a share."""
        return round(self.warmup_ratio * -(-rows // self.batch_size) * self.epochs)


@dataclass(frozen=True)
class WeightedRows:
    """Rows of the messages form whose turns a trainer cannot weigh as they say.

    Attributes:
        unequal: rows with a turn of another weight than 1; TRL trains every assistant's turn alike.
        fractional: those of them with a weight other than 0 and 1; axolotl trains a turn or does not.
    """

    unequal: int
    fractional: int


def write_configs(
    folder: Path, settings: TrainerSettings, forms: Mapping[Form, FormCounts], weighted: WeightedRows, train_on: TrainOn
) -> None:
    """Write a config of each trainer for which there are rows.

    Args:
        folder: `configs` beside the folders of the forms.
        settings: of the tuning.
        forms: what was written.
        weighted: rows of the messages form that some trainers leave out.
        train_on: which answers of Alpaca and ShareGPT rows are trained.
    """
    rows = {form: counts.rows for form, counts in forms.items() if counts.rows}
    trl = _trl(settings, rows, weighted)
    if trl:
        script = files("shed.data.exports").joinpath("templates", "trl_sft.py.txt").read_text(encoding="utf-8")
        write_text(folder / "trl_sft.py", script)
        write_text(folder / "trl_sft.json", json.dumps(trl, indent=2) + "\n")
    if rows.get("messages", 0) > weighted.fractional:
        write_text(
            folder / "axolotl.yaml",
            _yaml(_axolotl(settings, rows["messages"] - weighted.fractional, bool(weighted.fractional))),
        )
    names = {form: f"shed_{form}" for form in ("sharegpt", "alpaca") if form in rows}
    if names:
        known = {"sharegpt": _SHAREGPT, "alpaca": _ALPACA}
        info = {name: {"file_name": f"../{form}/train.jsonl", **known[form]} for form, name in names.items()}
        write_text(folder / "dataset_info.json", json.dumps(info, indent=2) + "\n")
        best = max(names, key=lambda form: rows[form])
        write_text(folder / "llamafactory.yaml", _yaml(_llamafactory(settings, rows[best], names[best], train_on)))


_SHAREGPT: dict[str, Any] = {
    "formatting": "sharegpt",
    "columns": {"messages": "conversations", "tools": "tools"},
    "tags": {
        "role_tag": "from",
        "content_tag": "value",
        "user_tag": "human",
        "assistant_tag": "gpt",
        "observation_tag": "observation",
        "function_tag": "function_call",
        "system_tag": "system",
    },
}
_ALPACA: dict[str, Any] = {
    "formatting": "alpaca",
    "columns": {"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history"},
}


def _trl(settings: TrainerSettings, rows: Mapping[Form, int], weighted: WeightedRows) -> dict[str, Any]:
    """Prompt and completion, unless more rows can be trained as messages, which needs a template that marks answers."""
    usable = {"prompt_completion": rows.get("prompt_completion", 0), "messages": rows.get("messages", 0) - weighted.unequal}
    form = max(usable, key=lambda form: usable[form])
    if usable[form] <= 0:
        return {}
    return {
        "model": settings.model,
        "rows": f"{form}/train.parquet",
        "columns": ["prompt", "completion", "tools"] if form == "prompt_completion" else ["messages", "tools"],
        "left_out": weighted.unequal if form == "messages" else rows.get("messages", usable[form]) - usable[form],
        "sft": {
            "completion_only_loss": form == "prompt_completion",
            "assistant_only_loss": form == "messages",
            "max_length": settings.max_tokens,
            "packing": False,
            "learning_rate": settings.lr,
            "lr_scheduler_type": "linear",
            "warmup_steps": settings.warmup_steps(usable[form]),
            "optim": "adamw_torch",
            "weight_decay": 0.0,
            "per_device_train_batch_size": settings.batch_size,
            "gradient_accumulation_steps": 1,
            "num_train_epochs": settings.epochs,
            "seed": settings.seed,
            "logging_steps": 1,
            "report_to": "none",
        },
        "lora": {
            "r": settings.r,
            "lora_alpha": settings.alpha,
            "lora_dropout": 0.0,
            "target_modules": settings.module_names or ALL_LINEAR,
            "task_type": "CAUSAL_LM",
        },
    }


def _axolotl(settings: TrainerSettings, rows: int, own_file: bool) -> dict[str, Any]:
    modules = settings.module_names
    return {
        "base_model": settings.model,
        "datasets": [
            {
                "path": "configs/axolotl.parquet" if own_file else "messages/train.parquet",
                "ds_type": "parquet",
                "split": "train",
                "type": "chat_template",
                "field_messages": "messages",
                "field_tools": "tools",
                "roles_to_train": ["assistant"],
                "train_on_eos": "turn",
                "message_field_training": "weight",
            }
        ],
        "val_set_size": 0.0,
        "train_on_inputs": False,
        "sequence_len": settings.max_tokens,
        "sample_packing": False,
        "adapter": "lora",
        "lora_r": settings.r,
        "lora_alpha": settings.alpha,
        "lora_dropout": 0.0,
        **({"lora_target_linear": True} if modules is None else {"lora_target_modules": modules}),
        "learning_rate": settings.lr,
        "lr_scheduler": "linear",
        "warmup_steps": settings.warmup_steps(rows),
        "optimizer": "adamw_torch",
        "weight_decay": 0.0,
        "micro_batch_size": settings.batch_size,
        "gradient_accumulation_steps": 1,
        "num_epochs": settings.epochs,
        "seed": settings.seed,
        "bf16": "auto",
        "output_dir": "adapter",
    }


def _llamafactory(settings: TrainerSettings, rows: int, dataset: str, train_on: TrainOn) -> dict[str, Any]:
    modules = settings.module_names
    return {
        "model_name_or_path": settings.model,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": settings.r,
        "lora_alpha": settings.alpha,
        "lora_dropout": 0.0,
        "lora_target": "all" if modules is None else ",".join(modules),
        "dataset": dataset,
        "dataset_dir": "configs",
        "mask_history": train_on == "last",
        "cutoff_len": settings.max_tokens,
        "learning_rate": settings.lr,
        "lr_scheduler_type": "linear",
        "warmup_steps": settings.warmup_steps(rows),
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": 1,
        "num_train_epochs": float(settings.epochs),
        "seed": settings.seed,
        "logging_steps": 1,
        "report_to": "none",
        "output_dir": "adapter",
    }


def _yaml(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
