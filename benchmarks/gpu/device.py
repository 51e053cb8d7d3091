"""The device of a proof: a GPU, or the processor where that is asked for.

In: the number of a GPU, or `cpu`. Out: what it is, and this process and all that it starts see no other.
"""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Device:
    """What a proof runs on.

    Attributes:
        gpu: whether it is a GPU.
        memory_bytes: of the GPU; None of a processor.
        cores: of the processor that torch may use.
        torch, cuda: versions; `cuda` is None where torch was built without.
    """

    gpu: bool
    name: str
    memory_bytes: int | None
    cores: int
    torch: str
    cuda: str | None


def only(device: str) -> Device:
    """Let torch see this device alone, here and in processes that are started from here.

    Raises:
        SystemExit: there is no such GPU.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not device.isdigit():
        sys.exit(f"--device {device}: give the number of a GPU, as 0, or cpu")
    elif "CUDA_VISIBLE_DEVICES" not in os.environ or device != "0":  # what a cluster's scheduler has set, 0 is the first of
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    versions = (torch.__version__, torch.version.cuda)
    if device == "cpu":
        return Device(False, _processor(), None, cores, *versions)
    if not torch.cuda.is_available():
        sys.exit(
            f"torch {torch.__version__} finds no GPU {device}; with --device cpu the command runs on the processor, which says "
            "nothing of a GPU"
        )
    own = torch.cuda.get_device_properties(0)
    return Device(True, own.name, own.total_memory, cores, *versions)


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
