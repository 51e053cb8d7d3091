"""The pipeline's stages: each reads params, calls `shed`, and writes what `dvc.yaml` declares."""

import os
import sys
import warnings
from collections.abc import Callable

from shed.errors import ShedError
from shed.params import Params, load_params

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads slow a busy machine tenfold; read when torch starts
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' own bars, too, are for terminals
warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|peft")  # theirs to mend, not a user's


def main(stage: Callable[[Params], None]) -> None:
    """Check all params, run the stage, and turn a `ShedError` or a missing input into one line and exit status 1."""
    try:
        stage(load_params())
    except ShedError as error:
        sys.exit(f"shed: error: {error}")
    except FileNotFoundError as error:
        sys.exit(f"shed: error: {error.filename or error}: no such file; an earlier stage makes it: run `dvc repro`")
    except KeyboardInterrupt:
        sys.exit("shed: interrupted; evaluations that were done stay in the ledger, and the next run goes on from there")
