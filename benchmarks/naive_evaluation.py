"""One coalition the naive way: a process loads the model, tunes LoRA in every layer, and generates answers for dev.

In: `python -m benchmarks.naive_evaluation FILE`, where FILE is JSON with `model`, `revision`, `dtype`, `tuning`, and lists of
(prompt, response) pairs `members` and `dev`. Out: the accuracy, printed. `benchmarks.evaluation_cost` times it.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(path: str) -> None:
    task = json.loads(Path(path).read_text(encoding="utf-8"))
    tuning = task["tuning"]
    tokenizer = AutoTokenizer.from_pretrained(task["model"], revision=task["revision"])
    model = AutoModelForCausalLM.from_pretrained(task["model"], revision=task["revision"], dtype=task["dtype"])
    config = LoraConfig(r=tuning["r"], lora_alpha=tuning["alpha"], target_modules=tuning["modules"], task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=tuning["lr"])
    for _ in range(tuning["epochs"]):
        for at in range(0, len(task["members"]), tuning["batch_size"]):
            batch = task["members"][at : at + tuning["batch_size"]]
            texts = [f"{prompt} {response}{tokenizer.eos_token}" for prompt, response in batch]
            inputs = tokenizer(texts, return_tensors="pt", padding=True)
            labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
            optimizer.zero_grad()
            model(**inputs, labels=labels).loss.backward()
            optimizer.step()
    model.eval()
    tokenizer.padding_side = "left"
    right = 0
    for at in range(0, len(task["dev"]), 16):
        batch = task["dev"][at : at + 16]
        inputs = tokenizer([prompt for prompt, _ in batch], return_tensors="pt", padding=True)
        with torch.no_grad():
            answers = model.generate(**inputs, max_new_tokens=16, do_sample=False, pad_token_id=tokenizer.eos_token_id)
        for (_, response), answer in zip(batch, answers, strict=True):
            text = tokenizer.decode(answer[inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            right += text.strip().lower().startswith(response.lower())
    print(right / len(task["dev"]))


if __name__ == "__main__":
    main(sys.argv[1])
