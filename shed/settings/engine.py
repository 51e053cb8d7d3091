"""Where models are tuned and measured.

In: the params `engine` and `engine_address`. Out: an engine, or None for this process.
"""

from typing import Literal

from shed.workers.contract import Engine
from shed.workers.ray_cluster import check_installed
from shed.workers.ray_engine import RayEngine

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


def check_engine(name: Literal["local", "ray"]) -> None:
    """Refuse an engine that is not installed, before anything is computed.

    Raises:
        ShedError: it is not.
    """
    if name == "ray":
        check_installed()


def engine_of(name: Literal["local", "ray"], address: str | None) -> Engine | None:
    """The engine; it connects to nothing before it is asked for workers."""
    return RayEngine(address) if name == "ray" else None
