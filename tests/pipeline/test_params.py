"""A params file is checked whole, before anything runs, and a mistake is one line."""

from pathlib import Path

import pytest

from shed.common.errors import ShedError
from shed.params import check_files, describe, load_params, main


def changed(root: Path, tmp_path: Path, old: str, new: str) -> Path:
    text = (root / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "sampler: top",
            "samplr: top",
            "unknown key 'samplr' with value 'top'; did you mean 'sampler'? allowed here: C, sampler",
        ),
        (
            "warmup_ratio: 0.1",
            "warmup_rate: 0.1",
            "unknown key 'finetune.warmup_rate' with value 0.1; did you mean 'warmup_ratio'?",
        ),
        ("sampler: top", "sampler: best", "sampler is 'best'; it must be 'top', 'qocs', 'qwcs', 'random', 'full' or 'given'"),
        (
            "pool_rows: 2000",
            f"pool_rows: 1{'0' * 30}",
            "data.pool_rows is 1000000000000000000000000000000; it must be less than",
        ),
        ("C: 32", "C: 1", "C is 1; it must be greater than or equal to 2"),
        ("C: 32", "C: 32.0", "C is 32.0; it must be a valid integer"),
        ("C: 32", "C: '32'", "C is '32'; it must be a valid integer"),
        ("fraction: 0.1", "fraction: 1.5", "sample.fraction is 1.5; it must be less than or equal to 1"),
        ("fraction: 0.1", "fraction: null", "set exactly one of sample.fraction, sample.rows and sample.tokens"),
        ("  tokens: null", "  tokens: 9", "set exactly one of sample.fraction, sample.rows and sample.tokens"),
        ("budget: rows\n  fraction: 0.1", "budget: tokens\n  fraction: null", "set exactly one of"),
        ("  rows: null", "  rows: 10", "set exactly one of sample.fraction, sample.rows and sample.tokens"),
        ("n_proj]\n  lr: 0.001", "n_proj]\n  lr: yes", "finetune.lr is 'yes'; it must be a valid number"),
        ("  limit:", "  limits:", "unknown key 'evaluate.limits'"),
        ("    limit: 20", "    limit: -1", "evaluate.written.limit is -1; it must be greater than or equal to 0"),
        (
            "max_new_tokens: 64",
            "max_new_tokens: 512",
            "evaluate.written.max_new_tokens is 512, but model.max_tokens is 512; no room is left to ask; lower it, or set",
        ),
        (
            "  depth: null",
            "  dept: null",
            "unknown key 'regime.dept' with value None; did you mean 'depth'? allowed here: depth, r",
        ),
        ("redraw: true", "redrawn: true", "unknown key 'score.metagradient.redrawn' with value True; did you mean 'redraw'?"),
        ("in_run: null", "in_run: {n: 1}", "score.in_run is {'n': 1}; it must be null"),
        ("sampler: top\n", "", "key 'sampler' is missing"),
        ("dev: data/dev.yaml", "dev: [a]", "data.dev is ['a']; it must be a path, lm_eval:TASK, names that have `from`"),
        ("dev: data/dev.yaml", "dev: {}", "data.dev is empty; name at least 1"),
        ("dev: data/dev.yaml", "dev: {a: x.jsonl}", "data.dev.a is 'x.jsonl'; it must have the keys from, weight"),
        ("dev: data/dev.yaml", "dev: {a: {from: x}}", "key 'data.dev.a.weight' is missing"),
        (
            "dev: data/dev.yaml",
            "dev: {a: {from: x, weight: -1}}",
            "data.dev.a.weight is -1; it must be greater than or equal to 0",
        ),
        (
            "dev: data/dev.yaml",
            "dev: {a: {from: x, weigth: 1}}",
            "unknown key 'data.dev.a.weigth' with value 1; did you mean 'weight'? allowed here: from, weight",
        ),
        (
            "dev: data/dev.yaml",
            "dev: {a: {from: x, weight: 0}, b: {from: y, weight: 0.0}}",
            "data.dev: the weights of a, b are all 0, so that nothing defines utility; set one above 0",
        ),
        (
            "dev: data/dev.yaml",
            "dev: {a: {from: x, weight: 1}, a: {from: y, weight: 1}}",
            'the key "a" stands twice in one group; give each a name of its own',
        ),
        ("dev: data/dev.yaml", 'dev: {"a\\nb": {from: x, weight: 1}}', "data.dev.'a\\nb': must be a line of text"),
        ("report_to: []", "report_to: [wandbb]", "tracking.report_to.0 is 'wandbb'; it must be 'dvclive', 'mlflow', 'trackio'"),
        ("  seeds: 3", "  seeds: 1", "verdict.seeds is 1; an interval needs at least 3; 0 turns the verdict off"),
        ("  seeds: 3", "  seeds: 2", "verdict.seeds is 2; an interval needs at least 3; 0 turns the verdict off"),
        ("  seeds: 3", "  seeds: -1", "verdict.seeds is -1; it must be greater than or equal to 0"),
        ("  full: false", "  ful: false", "unknown key 'verdict.ful' with value False; did you mean 'full'?"),
        ("C: 32", "C: [", "not YAML that can be read"),
        ("    fte: 11.0", "    fte: null", "score.method metagradient goes on until its budget ends: set one of score.budget"),
        ("utility: dev_loss", "utility: accuracy", "score.utility accuracy has no gradient"),
        (
            "base_url: null\n  model: null",
            "base_url: http://localhost/v1\n  model: null",
            "judge.base_url is set, but judge.model is null; name the model that judges",
        ),
        (
            "columns: null",
            "columns: {promt: q}",
            "data.reading.columns: 'promt' is not a name of ours; did you mean 'prompt'? there",
        ),
        (
            "columns: null",
            "columns: {prompt: q, response: q}",
            "data.reading.columns: 'q' is given for the prompt and for the re",
        ),
        ("screen: null", "screen: 0.05", "sample.fraction is 0.1, but only a share of 0.05 is rated (rate.screen)"),
        ("screen: null", "screen: 1.0", "rate.screen"),
        (
            "    prompt_fit: null",
            "    prompt_fit: 0.5",
            "sample.exclude.prompt_fit is 0.5, but quality.prompt_fit is false, so no fit is known; set it to true, or set sample",
        ),
        ("    prompt_fit: null", "    prompt_fit: 0.0", "sample.exclude.prompt_fit is 0.0; it must be greater than 0"),
        ("    prompt_fit: null", "    prompt_fit: 1.5", "sample.exclude.prompt_fit is 1.5; it must be less than or equal to 1"),
        ("  prompt_fit: false", "  prompt_fit: 0.5", "quality.prompt_fit is 0.5; it must be a valid boolean"),
        ("warm_rows: 100", "warm_rows: 0", "sampler top takes rows by their ratings, but rate.warm_rows is 0"),
        (
            "target_coalitions: 12",
            "target_coalitions: 19",
            "fidelity.target_coalitions is 19; it must be at most fidelity.coalitions",
        ),
        ("pool_rows: 2000", "pool_rows: 20", "C is 32, but data.pool_rows is 20; C must be at most that"),
        ("seed: 7", "seed: 1", "fidelity.seed and score.seed are both 1; they must differ"),
        ("kinds: [swapped, wrong_option, truncated, duplicate]", "kinds: []", "data.faults.kinds is empty; name at least 1"),
        ("  f: 20.0", "  f: .inf", "sample.f is inf; it must be a finite number"),
        (
            "method: metagradient",
            "method: shapiq",
            "score.method shapiq plans with score.budget.evaluations: set it to at least 4",
        ),
    ],
)
def test_a_mistake_is_one_line_with_key_value_and_what_is_allowed(
    project_root: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(ShedError) as error:
        load_params(changed(project_root, tmp_path, old, new))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_judge_that_is_off_needs_no_room_for_its_answers(project_root: Path, tmp_path: Path) -> None:
    path = changed(project_root, tmp_path, "max_new_tokens: 128", "max_new_tokens: 512")
    assert load_params(path).judge.max_new_tokens == load_params(path).model.max_tokens
    text = path.read_text(encoding="utf-8").replace(
        "base_url: null\n  model: null", "base_url: http://localhost/v1\n  model: m"
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ShedError, match=r"judge\.max_new_tokens is 512, but model\.max_tokens is 512; no room is left to ask"):
        load_params(path)


def test_a_group_to_remove_is_not_larger_than_the_number_of_clusters(project_root: Path, tmp_path: Path) -> None:
    path = changed(project_root, tmp_path, "    n: 1\n", "    n: 33\n")
    assert load_params(path).score.removal.n == 33  # what another method does not use is not checked
    path.write_text(path.read_text(encoding="utf-8").replace("method: metagradient", "method: removal"), encoding="utf-8")
    with pytest.raises(
        ShedError, match=r"score\.removal\.n is 33, but there are C = 32 clusters to remove; n must be at most C"
    ):
        load_params(path)


def test_exact_takes_at_most_twelve_clusters(project_root: Path, tmp_path: Path) -> None:
    path = changed(project_root, tmp_path, "method: metagradient", "method: exact")
    with pytest.raises(ShedError, match=r"score\.method exact takes at most 12 clusters, and C is 32"):
        load_params(path)


def test_a_verdict_may_be_off_and_takes_three_seeds_or_more(project_root: Path, tmp_path: Path) -> None:
    for seeds in (0, 3, 5):
        assert load_params(changed(project_root, tmp_path, "  seeds: 3", f"  seeds: {seeds}")).verdict.seeds == seeds


def test_a_folder_is_not_a_params_file(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="Is a directory"):
        load_params(tmp_path)


def test_numbers_as_dvc_writes_them_are_numbers(project_root: Path, tmp_path: Path) -> None:
    assert load_params(changed(project_root, tmp_path, "n_proj]\n  lr: 0.001", "n_proj]\n  lr: 1e-05")).finetune.lr == 1e-5


def test_the_paper_profile_holds_the_papers_settings(project_root: Path) -> None:
    paper = load_params(project_root / "profiles" / "paper.yaml")
    assert (paper.C, paper.score.removal.k, paper.score.removal.n) == (3000, 10, 60)
    assert (paper.finetune.r, paper.finetune.alpha, paper.finetune.epochs, paper.finetune.lr) == (128, 256, 3, 3e-4)
    assert paper.cluster.proxies_per_cluster == 1


def test_records_that_are_not_there_are_one_line(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed(project_root, tmp_path, "data/pool.yaml", "my_pool.jsonl")
    monkeypatch.setattr("sys.argv", ["shed.params", str(path)])
    monkeypatch.chdir(project_root)
    with pytest.raises(
        SystemExit, match=r"^shed: error: data\.pool: my_pool\.jsonl: no such file or folder in /.*, where relati"
    ):
        main()
    for pool in ("hf://datasets/a/b@0123", f"{tmp_path}", f"{tmp_path}/*.jsonl"):  # what a pool may be, too
        (tmp_path / "rows.jsonl").touch()
        monkeypatch.setattr("sys.argv", ["shed.params", str(changed(project_root, tmp_path, "data/pool.yaml", pool))])
        main()
    monkeypatch.setattr("sys.argv", ["shed.params"])
    main()
    assert "how rows are selected" in capsys.readouterr().out


def test_dev_and_test_may_be_null_and_the_pool_not(project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = changed(project_root, tmp_path, "dev: data/dev.yaml\n  test: data/test.yaml", "dev: null\n  test:")
    assert (load_params(path).data.dev, load_params(path).data.test) == (None, None)
    monkeypatch.chdir(project_root)
    check_files(load_params(path))
    path.write_text(path.read_text(encoding="utf-8").replace("dev: null", "dev: my_dev.jsonl"), encoding="utf-8")
    with pytest.raises(ShedError, match=r"^data\.dev: my_dev\.jsonl: no such file"):
        check_files(load_params(path))
    with pytest.raises(ShedError, match=r"data\.pool is None; it must be"):
        load_params(changed(project_root, tmp_path, "pool: data/pool.yaml", "pool: null"))


def test_a_selection_from_elsewhere_is_named_and_taken_as_it_is(project_root: Path, tmp_path: Path) -> None:
    path = changed(project_root, tmp_path, "sampler: top", "sampler: given")
    with pytest.raises(
        ShedError, match=r"sampler given takes a selection from a file, but sample\.given is null; name the file"
    ):
        load_params(path)
    path.write_text(path.read_text(encoding="utf-8").replace("  given: null", "  given: peer.csv"), encoding="utf-8")
    assert load_params(path).sample.given == "peer.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("balance: none", "balance: source"), encoding="utf-8")
    with pytest.raises(
        ShedError, match=r"sample\.balance is source, but sampler given takes a selection as it is; set it to none"
    ):
        load_params(path)
    path.write_text(path.read_text(encoding="utf-8").replace("sampler: given", "sampler: top"), encoding="utf-8")
    assert load_params(path).sample.balance == "source"


def test_rows_of_clusters_are_chosen_where_clusters_are_and_by_ratings_where_these_are(
    project_root: Path, tmp_path: Path
) -> None:
    path = changed(project_root, tmp_path, "within: null", "within: rating")
    with pytest.raises(
        ShedError,
        match=r"sample\.within is rating, but sampler top does not take rows by their clusters; set it to null, or set sampler to",
    ):
        load_params(path)
    path.write_text(path.read_text(encoding="utf-8").replace("sampler: top", "sampler: qwcs"), encoding="utf-8")
    assert load_params(path).sample.within == "rating"
    path.write_text(path.read_text(encoding="utf-8").replace("warm_rows: 100", "warm_rows: 0"), encoding="utf-8")
    with pytest.raises(
        ShedError, match=r"sample\.within is rating, but rate\.warm_rows is 0, so nothing is rated; set it, or set"
    ):
        load_params(path)
    path.write_text(path.read_text(encoding="utf-8").replace("within: rating", "within: nearest"), encoding="utf-8")
    assert load_params(path).sample.within == "nearest"


def test_a_selection_that_is_not_there_is_one_line(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed(project_root, tmp_path, "  given: null", f"  given: {tmp_path}/peer.csv")
    monkeypatch.setattr("sys.argv", ["shed.params", str(path)])
    monkeypatch.chdir(project_root)
    main()  # sampler top does not read it
    path.write_text(path.read_text(encoding="utf-8").replace("sampler: top", "sampler: given"), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^shed: error: sample\.given is '/.*peer\.csv'; there is no such file here$"):
        main()
    (tmp_path / "peer.csv").touch()
    main()
    assert "file of ids, rows or scores" in capsys.readouterr().out


def test_dev_may_be_a_task_of_lm_eval_or_several_tasks_with_weights(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project_root)
    several = "dev: {chat: {from: data/dev.yaml, weight: 1}, maths: {from: 'lm_eval:gsm8k', weight: 0.5}}"
    for dev in ("dev: lm_eval:gsm8k", several):
        params = load_params(changed(project_root, tmp_path, "dev: data/dev.yaml", dev))
        check_files(params)
    said = {line.name: line.value for line in describe(params)}
    assert said["data.dev"] == "{'chat': data/dev.yaml (weight 1), 'maths': lm_eval:gsm8k (weight 0.5)}"
    for lost in ("lm_eval:lost.yaml", "lost.jsonl"):
        path = changed(project_root, tmp_path, "dev: data/dev.yaml", several.replace("lm_eval:gsm8k", lost))
        with pytest.raises(ShedError, match=r"^data\.dev: .*lost\.(yaml|jsonl): no "):
            check_files(load_params(path))
