"""The story of a pull request: pushed, cloned, changed, compared and commented on, by the very commands of the workflow."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from result_projects import ROOT, dvc_project, run, set_sampler

WORKFLOWS = ROOT / ".github" / "workflows"
MARKER = "<!-- shed comment -->"
GH = f"""#!{sys.executable}
import json, os, subprocess, sys
words = sys.argv[1:]
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(words) + "\\n")
if "--jq" in words:
    asked = ["jq", "--raw-output", words[words.index("--jq") + 1], os.environ["COMMENTS"]]
    print(subprocess.run(asked, capture_output=True, text=True, check=True).stdout, end="")
"""
GOLDEN = """<!-- shed comment -->
### Is the selection better than random rows?

**This branch:** On test, the selection is better than random rows of the same number by 0.25 nats a response token.

**<code>origin&#47;main &#40;COMMIT&#41;</code>:** On test, the selection is better than random rows of the same number by 0.50 nats a response token.

| measure | <code>origin&#47;main &#40;COMMIT&#41;</code> | this branch | difference |
| --- | ---: | ---: | ---: |
| gain over random rows: loss | +0.500 [+0.375, +0.625] | +0.250 [+0.125, +0.375] |  |
| test loss of the tuned model | 4.500 | 4.750 | +0.250 |
| response tokens selected | 40 | 47 | +7 |
| clusters they are from | 3 | 10 | +7 |

| param | <code>origin&#47;main &#40;COMMIT&#41;</code> | this branch |
| --- | ---: | ---: |
| <code>sampler</code> | <code>top</code> | <code>qwcs</code> |

Of the selection's rows **1 stayed, 7 came in, 7 went out**.

<details><summary>Rows that came in: the first 5 of 7</summary>

- <code>id08</code> of <code>sums</code>, <code>qwcs 8</code>: <code>What is 8 and 8&#63;</code>
- <code>id09</code> of <code>sums</code>, <code>qwcs 9</code>: <code>What is 9 and 9&#63;</code>
- <code>id10</code> of <code>sums</code>, <code>qwcs 10</code>: <code>What is 10 and 10&#63;</code>
- <code>id11</code> of <code>sums</code>, <code>qwcs 11</code>: <code>What is 11 and 11&#63;</code>
- <code>id12</code> of <code>sums</code>, <code>qwcs 12</code>: <code>What is 12 and 12&#63;</code>

</details>

<details><summary>Rows that went out: the first 5 of 7</summary>

- <code>id00</code> of <code>sums</code>, <code>top 0</code>: <code>What is 0 and 0&#63;</code>
- <code>id01</code> of <code>sums</code>, <code>top 1</code>: <code>Is &#96;a&#124;b&#96; &#60;b&#62;bold&#60;&#47;b&#62; for &#64;someone&#44; \
see https&#58;&#47;&#47;example&#46;org&#47;&#35;7 &#63;</code>
- <code>id02</code> of <code>sums</code>, <code>top 2</code>: <code>What is 2 and 2&#63;</code>
- <code>id03</code> of <code>sums</code>, <code>top 3</code>: <code>What is 3 and 3&#63;</code>
- <code>id04</code> of <code>sums</code>, <code>top 4</code>: <code>What is 4 and 4&#63;</code>

</details>

`dvc.lock` is of this code and these params.
"""


def workflow(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8"))
    return read


def step(job: str, name: str, folder: Path, **env: str) -> str:
    """Run a step of the workflow, as GitHub's runner does."""
    (found,) = [one for one in workflow("pull-request")["jobs"][job]["steps"] if one.get("name") == name]
    assert "${{" not in found["run"]
    lacking = {key for key, value in found.get("env", {}).items() if "secrets." not in str(value)} - set(env)
    assert not lacking, f"{name} needs {lacking}"
    return run(folder, "bash", "-e", "-c", found["run"], **env)


@pytest.mark.slow
def test_a_pull_request_from_its_branch_to_its_comment(tmp_path: Path) -> None:
    upstream = dvc_project(tmp_path / "upstream")
    run(upstream, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    run(upstream, "git", "commit", "--quiet", "--all", "--message", "remote")
    run(upstream, "dvc", "push", "--quiet")

    mine = tmp_path / "mine"
    run(tmp_path, "git", "clone", "--quiet", str(upstream), "mine")
    assert not (mine / "data" / "selection.parquet").exists()
    run(mine, "dvc", "pull", "--quiet")
    assert run(mine, "dvc", "status").strip() == "Data and pipelines are up to date."
    run(mine, "git", "switch", "--quiet", "--create", "try-qwcs")
    set_sampler(mine, "qwcs")
    run(mine, "dvc", "repro", "--quiet")
    run(mine, "git", "commit", "--quiet", "--all", "--message", "qwcs")
    run(mine, "dvc", "push", "--quiet")
    run(mine, "git", "push", "--quiet", "origin", "try-qwcs")

    runner, summary = tmp_path / "runner", tmp_path / "summary.md"
    run(tmp_path, "git", "clone", "--quiet", str(upstream), "runner")
    run(runner, "git", "checkout", "--quiet", "--detach", "origin/try-qwcs")
    secrets = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert "::" not in step("compare", "Fetch what DVC keeps in the remote", runner, **secrets)
    step("compare", "Compare", runner, BASE="main", GITHUB_STEP_SUMMARY=str(summary), **secrets)
    comment = (runner / "comment.md").read_text(encoding="utf-8")
    commit = run(upstream, "git", "rev-parse", "--short=7", "main").strip()
    assert comment == GOLDEN.replace("COMMIT", commit)
    assert summary.read_text(encoding="utf-8") == comment
    assert (runner / "gains.svg").read_text(encoding="utf-8").startswith("<svg ")


@pytest.mark.slow
def test_what_the_remote_lacks_is_said_and_stops_nothing(tmp_path: Path) -> None:
    upstream = dvc_project(tmp_path / "upstream")
    run(tmp_path, "git", "clone", "--quiet", str(upstream), "runner")
    runner, secrets = tmp_path / "runner", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert "::notice::DVC has no remote" in step("compare", "Fetch what DVC keeps in the remote", runner, **secrets)
    run(runner, "dvc", "remote", "add", "--default", "store", str(tmp_path / "nothing"))
    step("compare", "Fetch what DVC keeps in the remote", runner, **secrets)
    step("compare", "Compare", runner, BASE="main", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"), **secrets)
    comment = (runner / "comment.md").read_text(encoding="utf-8")
    assert "by 0.50 nats" in comment
    assert "Rows of the selection cannot be compared" in comment


@pytest.mark.skipif(shutil.which("jq") is None, reason="the stub of gh filters with jq, as gh does by itself")
@pytest.mark.parametrize(
    ("comments", "ended"),
    [
        ([], ["pr", "comment", "7", "--body-file", "comment.md"]),
        (
            [(11, "octocat", MARKER), (12, "github-actions[bot]", "coverage"), (13, "github-actions[bot]", f"{MARKER}\nold")],
            ["api", "--method", "PATCH", "repos/me/mine/issues/comments/13", "--field", "body=@comment.md", "--silent"],
        ),
        ([(12, "github-actions[bot]", f"a reply to {MARKER}")], ["pr", "comment", "7", "--body-file", "comment.md"]),
    ],
    ids=["first", "again", "of others"],
)
def test_the_workflow_writes_one_comment_and_renews_it(
    comments: list[tuple[int, str, str]], ended: list[str], tmp_path: Path
) -> None:
    stub, listed, calls = tmp_path / "bin" / "gh", tmp_path / "comments.json", tmp_path / "calls.jsonl"
    stub.parent.mkdir()
    stub.write_text(GH, encoding="utf-8")
    stub.chmod(0o755)
    rows = [{"id": id, "user": {"login": user}, "body": body} for id, user, body in comments]
    listed.write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "comment.md").write_text(f"{MARKER}\nnew\n", encoding="utf-8")
    path = f"{stub.parent}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    env = {"PATH": path, "CALLS": str(calls), "COMMENTS": str(listed), "GH_TOKEN": "", "GH_REPO": "me/mine", "PULL": "7"}
    step("comment", "Comment", tmp_path, REPORT="https://github.com/report", PICTURE="", **env)
    asked, last = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()]
    assert asked[:2] == ["api", "repos/me/mine/issues/7/comments"]
    assert last == ended
    text = (tmp_path / "comment.md").read_text(encoding="utf-8")
    assert text == f"{MARKER}\nnew\n\n[The report of this branch](https://github.com/report)\n"


@pytest.mark.parametrize("name", ["tests", "pull-request"])
def test_a_workflow_may_do_no_more_than_it_must(name: str) -> None:
    read = workflow(name)
    assert read["concurrency"]["group"]
    triggers = read[True]  # YAML's `on`
    assert "pull_request_target" not in triggers
    assert "write" not in str(read["permissions"])
    for job in read["jobs"].values():
        assert job["timeout-minutes"]
        uses = [one["uses"] for one in job["steps"] if "uses" in one]
        assert all(re.fullmatch(r"actions/[\w-]+@v\d+", one) for one in uses)
        for one in job["steps"]:
            assert "${{" not in one.get("run", ""), "what others write never becomes part of a script"
            if one.get("uses", "").startswith("actions/checkout@"):
                assert one["with"]["persist-credentials"] is False
        if "write" in str(job.get("permissions")):
            assert not [one for one in uses if "checkout" in one], "no code of a pull request runs where a token may write"
            assert "head.repo.full_name == github.repository" in job["if"]
            assert job["permissions"] == {"pull-requests": "write"}


def test_the_workflow_looks_for_the_marker_that_comments_have() -> None:
    from shed.cli.sharing.comment import MARKER as written

    assert written == MARKER
    assert f'startswith("{MARKER}")' in (WORKFLOWS / "pull-request.yml").read_text(encoding="utf-8")


def test_the_tests_workflow_does_what_lands_a_change() -> None:
    """Lint and types, a current dvc.lock, and the README's test command."""
    steps = workflow("tests")["jobs"]["tests"]["steps"]
    wanted = ["make check", ".venv/bin/dvc repro --allow-missing --dry", "make test"]
    runs = [one["run"].strip() for one in steps if "run" in one]
    assert [one for one in runs if one in wanted] == wanted
