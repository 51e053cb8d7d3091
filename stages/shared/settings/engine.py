"""Where models are tuned and measured, as params have it. No number depends on it, so that no stage reruns for it."""

from shed.params import Params
from shed.settings import engine
from shed.workers.contract import Engine

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


def check_engine(params: Params) -> None:
    """Refuse an engine that is not installed."""
    engine.check_engine(params.engine)


def engine_of(params: Params) -> Engine | None:
    """The engine, or None for this process."""
    return engine.engine_of(params.engine, params.engine_address)
