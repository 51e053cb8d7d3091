"""A DVC project of two small stages, with the true params, for stories of commands that run or plan a pipeline."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOY = """
import sys, time
from pathlib import Path
from tqdm import tqdm

name, what = sys.argv[1:]
print(f"shed: {name} warns of [nothing]", file=sys.stderr)
for _ in tqdm(range(3), desc="outer", disable=None):
    for _ in tqdm(range(4), desc="inner", disable=None):
        time.sleep(0.12)
if what == "fails":
    sys.exit("shed: error: it cannot be")
if what == "sleeps" and not Path("interrupted").exists():
    Path("begun").touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        with Path("interrupted").open("a") as file:
            print("once", file=file)
        time.sleep(0.5)
        sys.exit("shed: interrupted")
Path(name).write_text(sys.executable)
if name == "verdict":
    Path("metrics").mkdir(exist_ok=True)
    Path("metrics/verdict.json").write_text('{"sentence": "The toy is better."}')
"""
STAGES = """
stages:
  first:
    cmd: python toy.py first works
    deps: [toy.py]
    params: [C]
    outs: [first]
  verdict:
    cmd: python toy.py verdict {what}
    deps: [first]
    params: [sampler, finetune.lr]
    outs: [verdict]
"""


def make_toy(root: Path, what: str = "works", *, git: bool = False) -> Path:
    """Write it; what the second stage does is `works`, `fails` or `sleeps`."""
    (root / "data").mkdir(parents=True)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for split in ("pool", "dev", "test"):
        params = params.replace(f"{split}: data/{split}.yaml", f"{split}: data/{split}.jsonl")
        (root / f"data/{split}.jsonl").write_text('{"prompt": "a", "response": "b"}\n', encoding="utf-8")
    (root / "data/questions.jsonl").write_text("{}\n", encoding="utf-8")
    (root / "params.yaml").write_text(params, encoding="utf-8")
    (root / "dvc.yaml").write_text(STAGES.format(what=what), encoding="utf-8")
    (root / "toy.py").write_text(TOY, encoding="utf-8")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("" if git else "[core]\n    no_scm = true\n", encoding="utf-8")
    if git:
        (root / ".gitignore").write_text("/first\n/verdict\n/metrics\n", encoding="utf-8")
        (root / ".dvc/.gitignore").write_text("/tmp\n/cache\n/config.local\n", encoding="utf-8")
        who = [["config", "user.name", "test"], ["config", "user.email", "test@example.com"]]
        for words in (["init", "-q"], *who, ["add", "-A"], ["commit", "-q", "-m", "a toy"]):
            subprocess.run(["git", *words], cwd=root, check=True)
    return root


def listen() -> None:
    """Take Ctrl-C as a terminal's programs do, also where the tests themselves were started in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(root: Path, *words: str, **settings: object) -> "subprocess.Popen[bytes]":
    """`shed` in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    environment |= {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
    return subprocess.Popen([sys.executable, "-m", "shed", *words], cwd=root, env=environment, preexec_fn=listen, **settings)  # type: ignore[call-overload, no-any-return]
