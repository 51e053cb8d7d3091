"""The final tuning: LoRA with peft and transformers' Trainer on the selected rows, loss on the response alone.

In: records, a model, settings. Out: an adapter folder (safetensors and a model card) and the loss of each step.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.utils.rnn import pad_sequence
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainingArguments

from shed.common.atomic_io import replacing
from shed.common.errors import DivergenceError
from shed.data.records import Record
from shed.engine.batches import halves
from shed.models.attention import SHORT, attention_for
from shed.models.encoding import Encoded, cut_counts
from shed.models.loading import load_language_model
from shed.models.lora import decoder_of, lora_modules
from shed.models.parallel import Cores
from shed.models.specs import LoraSettings, ModelSpec
from shed.tuning.tracking import OFF, Tracking, reporting

IGNORED = -100  # the label that no loss is computed of
PART_TOKENS = 512  # that go through the model at once on each core of a processor


@dataclass(frozen=True)
class TuningSettings:
    """LoRA on every layer, and AdamW with a linear rise and fall of the learning rate, whose peak is `lr`."""

    lora: LoraSettings
    lr: float
    warmup_ratio: float
    batch_size: int
    epochs: int
    seed: int


@dataclass(frozen=True)
class TuningResult:
    """What tuning yields.

    Attributes:
        losses: `step` and `loss`, in nats per response token.
        metrics: counts and totals, flat.
    """

    losses: pd.DataFrame
    metrics: dict[str, float | int]


def finetune(
    records: Sequence[Record],
    model: ModelSpec,
    settings: TuningSettings,
    adapter: Path,
    about: str,
    tracking: Tracking = OFF,
) -> TuningResult:
    """Tune and save the adapter; `about` says in the model card how its rows were selected.

    Raises:
        ShedError: a record cannot be tuned on, no module has the given names, the loss is NaN or infinite, the device has not
            enough memory for a single record, or a tracker refuses.
    """
    loaded, lora = load_language_model(model), settings.lora
    encoded = loaded.encoder.encode_all(records, end=True)
    torch.manual_seed(settings.seed)
    modules = lora_modules(loaded.model, lora.modules)
    config = LoraConfig(r=lora.r, lora_alpha=lora.alpha, target_modules=modules, lora_dropout=0.0, task_type="CAUSAL_LM")
    tuned = get_peft_model(loaded.model, config)
    longest = max(len(one.tokens) for one in encoded)
    if longest > SHORT:  # each layer's inputs are kept for the backward pass, and the rest is computed again
        tuned.gradient_checkpointing_enable({"use_reentrant": False, "preserve_rng_state": False})
    steps = -(-len(encoded) // settings.batch_size) * settings.epochs
    with TemporaryDirectory() as scratch, reporting(tracking) as callbacks:
        trainer = _ResponseTrainer(
            model=tuned,
            args=_on_one_device(
                output_dir=scratch,
                per_device_train_batch_size=settings.batch_size,
                num_train_epochs=settings.epochs,
                learning_rate=settings.lr,
                warmup_steps=round(settings.warmup_ratio * steps),
                lr_scheduler_type="linear",
                seed=settings.seed,
                train_sampling_strategy="group_by_length",
                logging_steps=1,
                logging_nan_inf_filter=False,
                save_strategy="no",
                disable_tqdm=not sys.stderr.isatty(),
                remove_unused_columns=False,
                dataloader_pin_memory=False,
                **tracking.trainer_arguments,
            ),
            train_dataset=[_example(one) for one in encoded],
            data_collator=_padded,
            callbacks=callbacks,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        if sys.stderr.isatty():
            trainer.add_callback(_QuietBar)
        trainer.train()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    losses = pd.DataFrame({"step": [entry["step"] for entry in logged], "loss": [entry["loss"] for entry in logged]})
    broken = losses.loc[~np.isfinite(losses["loss"]), "step"]
    if len(broken):
        raise DivergenceError(f"the loss is not finite from step {broken.min()} on")
    saved = tuned.peft_config["default"]  # as it will be read on any machine: no path, no order that changes by run
    saved.base_model_name_or_path, saved.target_modules = model.name, sorted(modules)
    with replacing(adapter) as temporary:
        tuned.save_pretrained(temporary, save_embedding_layers=False)
        (temporary / "README.md").write_text(_card(model.name, about, settings, len(records)), encoding="utf-8")
    tokens = sum(len(one.tokens) for one in encoded)
    return TuningResult(
        losses,
        {
            "rows": len(records),
            "steps": len(losses),
            "tokens": tokens,
            "response_tokens": sum(one.response_length for one in encoded),
            "longest": longest,
            "trainable_parameters": sum(p.numel() for p in tuned.parameters() if p.requires_grad),
            "loss_first": float(losses["loss"].iloc[0]),
            "loss_last": float(losses["loss"].tail(max(1, len(losses) // 10)).mean()),
            **cut_counts(encoded),
        },
    )


class _QuietBar(ProgressCallback):  # type: ignore[misc]
    """The progress bar without a printed line for each step; the losses go into a file."""

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        pass


def _on_one_device(**settings: Any) -> TrainingArguments:
    """Arguments by which the Trainer uses the first GPU alone: on all that it sees it would take as many times the batch."""
    arguments = TrainingArguments(**settings)
    if arguments.device.type == "cuda":
        arguments._n_gpu = 1
    return arguments


class _ResponseTrainer(Trainer):  # type: ignore[misc]
    """The vocabulary head, as large as a quarter of a small model, runs on response positions alone; a batch goes through the
    model in parts, one on each core, or as many as fit the memory of a GPU.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cores = Cores(self.args.device)
        if self.args.device.type == "cpu":
            self._cores.chunk_tokens = PART_TOKENS

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Nobody reads this count, and to make it the Trainer goes through all parameters at each step."""
        return 0

    def training_step(self, model: Any, inputs: dict[str, torch.Tensor], num_items_in_batch: Any = None) -> torch.Tensor:
        inputs = self._prepare_inputs(inputs)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        lengths, weights = inputs["attention_mask"].sum(1).cpu().numpy(), inputs["weights"]

        def part(rows: list[int]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
            own = {name: values[rows, : lengths[rows].max()] for name, values in inputs.items()}
            loss = self.compute_loss(model, own) * (weights[rows].sum() / weights.sum())
            return loss.detach(), torch.autograd.grad(loss, trained)

        if not model.training:
            model.train()
        rows = self._cores.share(np.argsort(-lengths, kind="stable").tolist(), lengths, self._cores.chunk_tokens)
        with attention_for(self.args.device, int(lengths.max())):
            losses, gradients = zip(*self._cores.map(part, rows, halves), strict=True)
        for parameter, *parts in zip(trained, *gradients, strict=True):
            parameter.grad = torch.stack(parts).sum(0)
        return torch.stack(losses).sum()

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        causal = self.accelerator.unwrap_model(model).get_base_model()
        hidden = decoder_of(causal)(input_ids=inputs["input_ids"]).last_hidden_state  # causal: none sees padding on the right
        targets, weights = inputs["labels"][:, 1:], inputs["weights"][:, 1:]
        answered = targets != IGNORED
        logits = causal.lm_head(hidden[:, :-1][answered]).float()
        nats = torch.nn.functional.cross_entropy(logits, targets[answered], reduction="none")
        return (nats * weights[answered]).sum() / weights.sum()


def _example(one: Encoded) -> dict[str, list[Any]]:
    labels, weights = [IGNORED] * len(one.tokens), [0.0] * len(one.tokens)
    for place, weight in zip(one.places, one.weights, strict=True):
        labels[place], weights[place] = one.tokens[place], weight
    return {"input_ids": list(one.tokens), "labels": labels, "weights": weights}


def _padded(examples: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, torch.Tensor]:
    """A batch padded on the right, where no loss counts."""
    pads = {"input_ids": 0, "labels": IGNORED, "weights": 0.0}
    batch = {
        name: pad_sequence([torch.tensor(one[name]) for one in examples], batch_first=True, padding_value=pad)
        for name, pad in pads.items()
    }
    lengths = torch.tensor([len(one["input_ids"]) for one in examples])
    return batch | {"attention_mask": (torch.arange(int(lengths.max())) < lengths[:, None]).long()}


def _card(model: str, about: str, settings: TuningSettings, rows: int) -> str:
    return f"""---
base_model: {model}
library_name: peft
pipeline_tag: text-generation
tags: [lora, shed, data-selection]
---
# A LoRA adapter for {model}

Tuned by `shed` on {rows} selected rows: {about}.

| setting | value |
|---|---|
| rank, alpha | {settings.lora.r}, {settings.lora.alpha} |
| modules | {", ".join(settings.lora.modules)} |
| learning rate | {settings.lr}, AdamW, linear with {settings.warmup_ratio:.0%} warm-up |
| batch, epochs, seed | {settings.batch_size}, {settings.epochs}, {settings.seed} |

Load it with `PeftModel.from_pretrained(base, folder)`, base being the model of this name; for a packaged one,
`shed.models.loading.load_model("{model}")`. Data, params and code are in the project's `dvc.lock`.
"""
