"""The final tuning in an experiment tracker: its curve while it runs, and params, digests and the verdict at the end.

In: which trackers, and what to tell them. Out: arguments and callbacks of transformers' Trainer; what the trackers keep.

The trackers' own environment variables hold (MLFLOW_TRACKING_URI, WANDB_MODE, TRACKIO_SPACE_ID and the rest). Nothing here
changes what is tuned or measured.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from shed.common.errors import ShedError

FOLDER = "dvclive"  # where DVCLive writes
MOST_SAID = 300  # characters of a tracker's error
OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
Value = str | float | int | bool


@dataclass(frozen=True)
class Tracking:
    """A run in one or more trackers.

    Attributes:
        report_to: names of trackers, as in `TRACKERS`; none: nothing is reported.
        project: what they call a project or an experiment.
        run: its name there; a later process finds the run by it.
    """

    report_to: Sequence[str] = ()
    project: str = ""
    run: str = ""

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """What TrainingArguments take to report; DVCLive comes by a callback."""
        others = [name for name in self.report_to if name != "dvclive"]
        if not others:
            return {"report_to": "none"}
        return {"report_to": others, "run_name": self.run, "project": self.project}


OFF = Tracking()


def check_installed(report_to: Sequence[str]) -> None:
    """Refuse trackers whose packages are missing.

    Raises:
        ShedError: one line that names them, and the extra of this package that has each.
    """
    if missing := [name for name in report_to if find_spec(name) is None]:
        raise ShedError(
            f"{' and '.join(missing)} cannot be reported to: not installed; run `pip install "
            f"'shed-tuning[{','.join(missing)}]'`, or leave {'it' if len(missing) == 1 else 'them'} out",
            "trackers",
        )


@contextmanager
def reporting(tracking: Tracking) -> Iterator[list[Any]]:
    """While a Trainer runs: the callbacks that it needs beside `trainer_arguments`. A server is asked before anything is tuned.

    Raises:
        ShedError: a package is missing, or a tracker refuses: no key, no server, no such project.
    """
    check_installed(tracking.report_to)
    with _environment(tracking):
        callbacks = [callback for name in tracking.report_to for callback in _begun(name)]
        try:
            yield callbacks
        finally:
            if "wandb" in tracking.report_to:
                import wandb

                wandb.finish()


def _begun(name: str) -> list[Any]:
    """What the Trainer needs for a tracker, which is asked for its run or project."""
    with _refusing(name):
        if name == "dvclive":
            return [_dvclive_callback()]
        if name == "mlflow":
            _mlflow_experiment()
        elif name == "wandb":
            import wandb

            wandb.init()
    return []


def log_results(
    tracking: Tracking, params: Mapping[str, Value], digests: Mapping[str, str], results: Mapping[str, Any]
) -> None:
    """Add to the run what is known at the end. A tracker that fails is told in a warning, since the results stand without it.

    Args:
        params: the params of the pipeline by their dotted names.
        digests: of the files that the results rest on, by path.
        results: metrics, nested as their file has them; numbers become metrics, text a note.
    """
    told = {f"params/{name}": value for name, value in params.items()} | {f"md5/{path}": own for path, own in digests.items()}
    flat = dict(_flat(results))
    numbers = {name: float(value) for name, value in flat.items() if not isinstance(value, str)}
    texts = {name: value for name, value in flat.items() if isinstance(value, str)}
    for name in tracking.report_to:
        try:
            with _environment(tracking), _refusing(name):
                _WRITERS[name](tracking, told | texts, numbers)
        except ShedError as error:
            print(f"shed: warning: {error}; the results themselves are complete", file=sys.stderr)


def _to_dvclive(tracking: Tracking, told: Mapping[str, Value], numbers: Mapping[str, float]) -> None:
    live = _live(resume=True)
    live.step = live.read_step()  # a resumed run would begin another one
    live.log_params(dict(told))
    for name, value in numbers.items():
        live.log_metric(name, value, plot=False)
    live.make_summary()
    live.end()


def _to_mlflow(tracking: Tracking, told: Mapping[str, Value], numbers: Mapping[str, float]) -> None:
    import mlflow

    experiment = _mlflow_experiment()
    named = f"attributes.run_name = '{tracking.run}'"
    known = mlflow.MlflowClient().search_runs([experiment], named, order_by=["attributes.start_time DESC"], max_results=1)
    own = os.environ.get("MLFLOW_RUN_ID") or (known[0].info.run_id if known else None)
    with mlflow.start_run(run_id=own, run_name=tracking.run) as run:
        facts = {_allowed(name): str(value) for name, value in told.items()}
        new = {name: value for name, value in facts.items() if name.startswith("params/") and name not in run.data.params}
        mlflow.log_params(new)
        # a param of a run cannot be written again, and a later run of the pipeline may end with other ones
        mlflow.set_tags({name: value for name, value in facts.items() if run.data.params.get(name, new.get(name)) != value})
        mlflow.log_metrics({_allowed(name): value for name, value in numbers.items()})


def _to_trackio(tracking: Tracking, told: Mapping[str, Value], numbers: Mapping[str, float]) -> None:
    import trackio

    before: dict[str, Any] = {}
    with suppress(Exception):  # there may be no such run yet, or no server of it that can be asked
        runs = trackio.Api().runs(tracking.project)
        before = next(dict(run.config) for run in runs if run.name == tracking.run)
    run = trackio.init(project=tracking.project, name=tracking.run, resume="allow")
    try:
        run.config.update({name: value for name, value in before.items() if not name.startswith("_")} | dict(told))
        trackio.log(dict(numbers))
    finally:
        trackio.finish()


def _to_wandb(tracking: Tracking, told: Mapping[str, Value], numbers: Mapping[str, float]) -> None:
    import wandb

    with wandb.init() as run:
        run.config.update(dict(told), allow_val_change=True)
        run.summary.update(dict(numbers))


_WRITERS: dict[str, Callable[[Tracking, Mapping[str, Value], Mapping[str, float]], None]] = {
    "dvclive": _to_dvclive,
    "mlflow": _to_mlflow,
    "trackio": _to_trackio,
    "wandb": _to_wandb,
}


TRACKERS = tuple(_WRITERS)


@contextmanager
def _environment(tracking: Tracking) -> Iterator[None]:
    """Names for the trackers that read them from the environment; what the user has set there holds."""
    names = {
        "MLFLOW_EXPERIMENT_NAME": tracking.project,
        "WANDB_PROJECT": tracking.project,
        "WANDB_NAME": tracking.run,
        "WANDB_RUN_ID": tracking.run,
        "WANDB_RESUME": "allow",
    }
    missing = [name for name in names if name not in os.environ] if tracking.report_to else []
    os.environ |= {name: names[name] for name in missing}
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


def _mlflow_experiment() -> str:
    import mlflow

    return str(mlflow.set_experiment(os.environ["MLFLOW_EXPERIMENT_NAME"]).experiment_id)


def _dvclive_callback() -> Any:
    from transformers.integrations import DVCLiveCallback

    return DVCLiveCallback(live=_live(resume=False))


def _live(resume: bool) -> Any:
    """DVCLive by itself would add to `dvc.yaml`, which is the pipeline's, and save an experiment."""
    from dvclive import Live

    return Live(FOLDER, resume=resume, dvcyaml=None, save_dvc_exp=False)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """What a tracker raises, in one line: each has errors of its own."""
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        short = said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]}…"
        raise ShedError(f"{name} cannot be reported to: {short}", "trackers") from error


def _flat(results: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Numbers and texts by their path; lists and what is absent are left out."""
    for name, value in results.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        elif isinstance(value, str | int | float):
            yield prefix + name, value


def _allowed(name: str) -> str:
    """A name with the characters that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name)
