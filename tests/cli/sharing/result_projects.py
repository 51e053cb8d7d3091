"""A small project with cheap stages that write the files that ours write, for stories of revisions and pull requests."""

import contextlib
import os
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
RECORDS = [f"What is {n} and {n}?" for n in range(16)]
RECORDS[1] = "Is `a|b` <b>bold</b> for @someone, see https://example.org/#7 ?"
DVC_YAML = """
stages:
  sample:
    cmd: python make.py sample
    deps: [make.py]
    params: [sampler]
    outs: [data/selection.parquet, data/selection.jsonl]
    metrics: [{metrics/sample.json: {cache: false}}]
  verdict:
    cmd: python make.py verdict
    deps: [data/selection.parquet]
    params: [sampler]
    metrics: [{metrics/tuned.json: {cache: false}}, {metrics/verdict.json: {cache: false}}]
"""
MAKE = f"""
import json, sys
import pandas as pd
from pathlib import Path

RECORDS = {RECORDS!r}
sampler = Path("params.yaml").read_text().split("sampler: ")[1].split()[0]
first, gain = {{"top": (0, 0.5), "qwcs": (7, 0.25)}}[sampler]

def write(path, text):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text)

def interval(gain):
    return {{"gain": gain, "low": gain - 0.125, "high": gain + 0.125}}

if sys.argv[1] == "sample":
    ids = [(first + n) % 16 for n in range(8)]
    rows = [{{"id": f"id{{n:02}}", "source": "sums", "reason": f"{{sampler}} {{n}}"}} for n in ids]
    Path("data").mkdir(exist_ok=True)
    pd.DataFrame(rows).to_parquet("data/selection.parquet")
    texts = [{{**row, "messages": [{{"role": "user", "content": RECORDS[n]}}]}} for row, n in zip(rows, ids)]
    write("data/selection.jsonl", "".join(json.dumps(one) + "\\n" for one in texts))
    write("metrics/sample.json", json.dumps({{"rows": 8, "clusters": 3 + first, "lengths": {{"response_tokens": 40 + first}}}}))
else:
    sentence = f"On test, the selection is better than random rows of the same number by {{gain:.2f}} nats a response token."
    against = {{"test": {{"all": {{"loss": interval(gain), "accuracy": interval(0.0)}}}}}}
    write("metrics/verdict.json", json.dumps({{"sentence": sentence, "random_rows": against}}))
    write("metrics/tuned.json", json.dumps({{"test_loss": 5 - gain, "test_accuracy": 0.75}}))
"""
USER = {
    f"GIT_{who}_{what}": f"user{at}"
    for who in ("AUTHOR", "COMMITTER")
    for what, at in (("NAME", ""), ("EMAIL", "@example.org"))
}


def environment(**more: str) -> dict[str, str]:
    """Of a process that finds this Python, its DVC, and `shed` of this checkout."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    plain = {name: value for name, value in os.environ.items() if name not in {"DVC_ROOT", "GITHUB_TOKEN"}}
    return {**plain, "PATH": path, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1", **USER, **more}


def run(folder: Path, *command: str, **more: str) -> str:
    done = subprocess.run(command, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def set_sampler(folder: Path, sampler: str) -> None:
    (folder / "params.yaml").write_text(f"C: 4\nsampler: {sampler}\n", encoding="utf-8")


def make_results(folder: Path) -> None:
    """What the two stages write, in this process."""
    argv = sys.argv
    try:
        with contextlib.chdir(folder):
            for stage in ("sample", "verdict"):
                sys.argv = ["make.py", stage]
                runpy.run_path("make.py")
    finally:
        sys.argv = argv


def dvc_project(folder: Path) -> Path:
    """A project of DVC that has been run, on the branch main."""
    folder.mkdir(parents=True)
    run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    run(folder, "dvc", "init", "--quiet")
    run(folder, "dvc", "config", "core.autostage", "true")
    (folder / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    (folder / "make.py").write_text(MAKE, encoding="utf-8")
    set_sampler(folder, "top")
    run(folder, "dvc", "repro", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "top")
    return folder


def without_dvc(folder: Path) -> Path:
    """The same results in git alone, made without DVC, which takes a tenth of the time; a second commit has qwcs's."""
    folder.mkdir(parents=True)
    run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("", encoding="utf-8")
    (folder / ".gitignore").write_text("/.dvc/tmp\n/.dvc/cache\n", encoding="utf-8")
    (folder / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    (folder / "make.py").write_text(MAKE, encoding="utf-8")
    for sampler in ("top", "qwcs"):
        set_sampler(folder, sampler)
        make_results(folder)
        run(folder, "git", "add", "--all")
        run(folder, "git", "commit", "--quiet", "--message", sampler)
        run(folder, "git", "tag", sampler)
    return folder
