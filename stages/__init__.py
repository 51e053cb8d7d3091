"""The pipeline's stages: each reads params, calls `shed`, and writes what `dvc.yaml` declares."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from shed.common.errors import ShedError
from shed.data.recipes import UserSource
from shed.params import Params, load_params

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads slow a busy machine tenfold; read when torch starts
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' own bars, too, are for terminals
warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|peft")  # theirs to mend, not a user's

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
KEYS = {  # where the settings that an error of `shed` names are set
    "LoRA depth": "regime.depth",
    "LoRA modules": "regime.modules",
    "adapter": "judge.against",
    "approximator": "score.shapiq.approximator",
    "budget": "score.budget",
    "clustering method": "cluster.method",
    "columns": "data.reading.columns",
    "combination of dev tasks": "data.dev_combine",
    "context length": "model.max_tokens",
    "embedder": "embed.model",
    "endpoint": "judge.base_url",
    "engine": "engine",
    "engine address": "engine_address",
    "evaluations": "score.budget.evaluations",
    "fault share": "data.faults.share",
    "fault sources": "data.faults.sources",
    "floor": "sample.floor",
    "form": "data.reading.form",
    "forms to export": "export.forms",
    "fraction": "sample.fraction",
    "given selection": "sample.given",
    "group size": "score.removal.n",
    "ignored keys": "data.reading.ignore",
    "least prompt fit": "sample.exclude.prompt_fit",
    "learning rate of the scoring regime": "regime.lr",
    "learning rate of the target regime": "finetune.lr",
    "learning rate": "regime.lr",
    "list key": "data.reading.list_key",
    "max rejects": "data.max_rejects",
    "model": "model.name",
    "near-duplicates": "data.near_duplicates",
    "prompt form": "model.prompt",
    "questions": "judge.questions",
    "records of dev": "data.dev",
    "records of pool": "data.pool",
    "records of test": "data.test",
    "records that are too long": "sample.too_long",
    "rows of dev": "data.dev_rows",
    "rows of test": "data.test_rows",
    "rows": "sample.rows",
    "tasks": "evaluate.tasks",
    "tokens": "sample.tokens",
    "trackers": "tracking.report_to",
    "turns to train on": "data.reading.train_on",
    "warm rows": "rate.warm_rows",
    "within": "sample.within",
    "screen": "rate.screen",
}
ALL_READ = "data.reading."  # how the keys begin that hold for pool, dev and test alike
FINAL_TUNING = {"LoRA modules": "finetune.modules", "learning rate": "finetune.lr"}


def main(stage: Callable[[Params], None]) -> None:
    """Check all params and run the stage, as `command` runs a program."""
    command(lambda: stage(load_params()))


def command(program: Callable[[], None]) -> None:
    """Run a program, and turn a `ShedError` or a missing input into one line and exit status 1."""
    try:
        with naming_keys(KEYS):
            program()
    except ShedError as error:
        sys.exit(f"shed: error: {error}")
    except FileNotFoundError as error:
        sys.exit(f"shed: error: {error.filename or error}: no such file; an earlier stage makes it: run `dvc repro`")
    except KeyboardInterrupt:
        sys.exit("shed: interrupted; evaluations that were done stay in the ledger, and the next run goes on from there")


@contextmanager
def naming_keys(keys: Mapping[str, str]) -> Iterator[None]:
    """Add to an error that names a setting the key of `params.yaml` where it is set; the innermost block that knows it does."""
    try:
        yield
    except ShedError as error:
        key = keys.get(error.setting or "")
        if key is None:
            raise
        raise ShedError(f"{error} ({place_of(key)})") from error


def place_of(key: str) -> str:
    """Where a key is set; what a recipe may say of one source instead is set there, too."""
    own = key.removeprefix(ALL_READ)
    if own not in UserSource.model_fields:
        return f"{key} in params.yaml"
    return f"{key} in params.yaml, which holds for pool, dev and test alike; else `{own}` of a source in a recipe"
