"""Small tokenizers with real merges, of the kinds that differ in what a record's tokens are, and models to go with them.

In: a kind's name. Out: a fast tokenizer, or a folder with it and a tiny random Llama. All are trained here, offline, on a few
sentences, so that `Answer: Oslo` or an empty line merge as they do in the real ones.

The name is not `tokenizers`: pytest puts folders of tests on the path, and the library of that name would be hidden.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

Kind = Literal["smollm2", "llama2", "llama2-always", "gemma2", "qwen3", "mistral"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TEMPLATES = Path(__file__).parent / "chat_templates"
CITIES = {"Norway": "Oslo", "France": "Paris", "Japan": "Tokyo", "Italy": "Rome", "Peru": "Lima", "Spain": "Madrid"}
CORPUS = [
    *(f"Question: What is the capital of {land}?\nAnswer: {city}" for land, city in CITIES.items()),
    *(f"{city} is the capital of {land}.\n\n- {city}\n- {land}\n\n" for land, city in CITIES.items()),
    "user\nWhich of the two is it?\n\nassistant\nIt is number one.\n\nsystem\nYou are a helpful assistant.\nmodel\n",
    "Answer: yes\nAnswer: no\n\nQuestion: 7 + 2 = 9, 12 - 4 = 8, 100 * 3 = 300\n",
    "Below is an instruction that describes a task. Write a response that completes the request.\n\n",
    *(["the very same words, which it is number"] * 3),
]
VOCABULARY = 400  # pieces that are trained, about half of them merges
QWEN_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def tokenizer(kind: Kind) -> "PreTrainedTokenizerFast":
    """A tokenizer of this kind, a new one at each call.

    - `smollm2`: bytes; ChatML with a system turn of its own where there is none; the end token closes a turn.
    - `llama2`: pieces that hold the space before a word, at the start of the text, too; unknown characters as bytes, among them
      every newline; a beginning token that the tokenizer puts there; `[INST] … [/INST] … </s>`.
    - `llama2-always`: the same, but the space is added after each special token, as in older conversions.
    - `gemma2`: pieces with the space, none added; a beginning token by the tokenizer and in the template; no system turn; the
      assistant is `model`; the end token is not what closes a turn.
    - `qwen3`: bytes; ChatML whose turn ends with another token than the end token; tools, and reasoning in the last turns alone.
    - `mistral`: as `llama2`, but the system's text stands in the last turn of the user, so that earlier turns change.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    built, tokens = Tokenizer.from_str(_trained(kind)), _special_tokens(kind)
    template = (TEMPLATES / f"{kind.removesuffix('-always')}.jinja").read_text(encoding="utf-8").removesuffix("\n")
    return PreTrainedTokenizerFast(tokenizer_object=built, chat_template=template, clean_up_tokenization_spaces=False, **tokens)


def save(kind: Kind, folder: Path, max_positions: int = 512) -> str:
    """Save the tokenizer with a random Llama of two layers that has its vocabulary; the folder's path is the model's name."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    fast = tokenizer(kind)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=max_positions,
        initializer_range=0.2,
        tie_word_embeddings=True,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def _special_tokens(kind: Kind) -> dict[str, str]:
    match kind:
        case "smollm2":
            return {
                "bos_token": "<|im_start|>",
                "eos_token": "<|im_end|>",
                "pad_token": "<|im_end|>",
                "unk_token": "<|endoftext|>",
            }
        case "qwen3":
            return {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
        case "gemma2":
            return {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
        case _:
            return {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


@cache
def _trained(kind: Kind) -> str:
    match kind:
        case "smollm2":
            return _of_bytes(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], qwen=False).to_str()
        case "qwen3":
            built = _of_bytes(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], qwen=True)
            built.add_tokens(["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"])
            return built.to_str()
        case "gemma2":
            return _of_pieces(["<pad>", "<eos>", "<bos>", "<unk>"], "never", ["<start_of_turn>", "<end_of_turn>"]).to_str()
        case "llama2-always":
            return _of_pieces(["<unk>", "<s>", "</s>"], "always").to_str()
        case _:
            return _of_pieces(["<unk>", "<s>", "</s>"], "first").to_str()


def _of_bytes(special: list[str], *, qwen: bool) -> "Tokenizer":
    """Byte-level BPE: any text comes out as it went in."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    built = Tokenizer(models.BPE())
    if qwen:
        built.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated")
        steps = [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    else:
        steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    built.pre_tokenizer = pre_tokenizers.Sequence(steps)
    built.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY + 256, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    built.train_from_iterator(CORPUS, trainer)
    return built


def _of_pieces(special: list[str], prepend: str, turns: list[str] | None = None) -> "Tokenizer":
    """BPE as sentencepiece has it: spaces are `▁`, and a character without a piece is its UTF-8 bytes."""
    import json

    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    gemma = turns is not None
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("\n+"), "isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="never" if gemma else "first"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation(),
        ]
    )
    lines = CORPUS if gemma else [line for text in CORPUS for line in text.split("\n")]  # Llama has no piece with a newline
    printable = [chr(code) for code in range(33, 127)]
    learner.train_from_iterator(
        lines, trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=printable, show_progress=False)
    )
    learned = json.loads(learner.to_str())["model"]
    own = [*special, *(turns or []), *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    merges = [tuple(pair) for pair in learned["merges"]]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(own))}
    built = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if gemma:
        built.normalizer = normalizers.Replace(" ", "▁")
        built.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    else:
        built.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    strip = [] if gemma else [decoders.Strip(" ", 1, 0)]
    built.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    built.add_special_tokens([*special, *(turns or [])])
    begin = "<bos>" if gemma else "<s>"
    built.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1", special_tokens=[(begin, vocabulary[begin])]
    )
    return built
