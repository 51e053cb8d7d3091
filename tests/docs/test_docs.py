"""The pages a reader opens: fresh tables, links that lead somewhere, plain words, and no number typed by hand."""

import re
from pathlib import Path

import pytest
import yaml
from markdown_page import HEADING, LINK, PAGES, ROOT, SPAN, anchors, links, name, spans

from tools.doc_tables.pages import renewed, typed

MOST_LINES = 300
SOURCES = [
    *PAGES,
    *(path for folder in ("shed", "stages", "experiments", "benchmarks", "tools") for path in (ROOT / folder).rglob("*.py")),
    *(ROOT / "shed").rglob("*.j2"),
    *(ROOT / "experiments").glob("*/*.yaml"),
    ROOT / "dvc.yaml",
    ROOT / "params.yaml",
]
FORBIDDEN = (  # phrases that an earlier English of this project had; each has a plain form
    r"\b(?:is|are|was|were) (?:not )?told (?:from|apart)\b",
    r"\bthat (?:is|are) told from\b",
    r"\b(?:is|are) to be had\b",
    r"\bmeaned\b",
    r"\b(?:is|are) no numbers?\b",
    r"\bof the game's batches\b",
    r"\btells? no method\b",
    r"\bbystanders?\b",
    r"\bis for the audit to say\b",
    r"\bwhat (?:it|these|they) (?:has|have), and no more\b",
    r"\bis no comparison\b",
    r"\bhave of use\b",
)
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?!\w|\.\d)")
NO_MEASUREMENT = re.compile(r"Python 3\.\d+|\b3\.1[23]\b|Apache-2\.0|SmolLM2|v?0\.1\.0")  # versions and licences
# a user's files, and what a run or a set-up makes
MADE = re.compile(r"^(?:my_|pipeline\.json$|\.shed/|\.venv|metrics/|reports/|experiments/compare/selections/|/)")
PATH = re.compile(r"^[\w.-]+(?:/[\w.*-]+)*/?$")
SUFFIXES = (".py", ".yaml", ".json", ".jsonl", ".md", ".csv", ".svg", ".html", ".parquet", ".sqlite", ".lock")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_tables_and_numbers_are_those_of_the_committed_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert renewed(text, page.name) == text, f"{name(page)} is stale: run make docs"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_has_one_title_and_at_most_300_lines(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert len(re.findall(r"^# ", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)) == 1


def test_the_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 100


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_and_image_leads_somewhere(page: Path) -> None:
    for target in links(page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        place = page if not file else page.parent / file
        assert place.exists(), f"{name(page)}: {target} does not exist"
        if anchor:
            assert anchor in anchors(place.read_text(encoding="utf-8")), f"{name(page)}: {target} is no heading"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in links((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert {name(page) for page in PAGES} - {"README.md"} <= linked


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist_or_are_made(page: Path) -> None:
    outs = {out.split("/")[-1] for out in _outs()}
    for span in spans(page.read_text(encoding="utf-8")):
        looks_like_a_file = PATH.match(span) and (span.endswith(SUFFIXES) or span.endswith("/"))
        if not looks_like_a_file or MADE.match(span) or page.name == "CHANGELOG.md":
            continue
        found = span.split("/")[-1] in outs or any(list(base.glob(span.rstrip("/"))) for base in (ROOT, page.parent))
        assert found or list(ROOT.glob(f"shed/**/{span}")), f"{name(page)}: {span} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_measured_number_is_typed_by_hand(page: Path) -> None:
    prose = HEADING.sub("", typed(page.read_text(encoding="utf-8")))
    prose = NO_MEASUREMENT.sub("", LINK.sub("", SPAN.sub("", prose)))
    assert not (found := DECIMAL.findall(prose)), f"{name(page)}: {found}: let make docs write it"


@pytest.mark.parametrize("phrase", FORBIDDEN)
def test_english_is_plain(phrase: str) -> None:
    found = re.compile(phrase, re.IGNORECASE)
    said = [f"{name(path)}: {hit.group()}" for path in SOURCES for hit in found.finditer(_plain(path))]
    assert not said


def _plain(path: Path) -> str:
    """A file's text on one line, so that a phrase is found across a break."""
    return re.sub(r"\s*\n[\s#>]*", " ", path.read_text(encoding="utf-8"))


def _outs() -> set[str]:
    """What the stages of all pipelines write."""
    found: set[str] = set()
    for path in [ROOT / "dvc.yaml", *ROOT.glob("experiments/*/dvc.yaml")]:
        for stage in yaml.safe_load(path.read_text(encoding="utf-8"))["stages"].values():
            listed = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
            found |= {file for out in listed for file in ([out] if isinstance(out, str) else out)}
    return found
