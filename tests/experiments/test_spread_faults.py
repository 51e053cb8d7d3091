"""Faults spread thin: what is read of which records, and a study of a small pool from beginning to end."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from experiments.selection import spread_faults
from experiments.selection.spread_faults import ACROSS, TRUNCATED, WITHIN, WRONG, compared, damaged, dealt
from experiments.shared.spread_faults_losses import PairLosses, with_response_of, without_prompt
from shed.common.atomic_io import read_json, write_json, write_jsonl, write_text
from shed.data.records import Record, single_turn
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec
from shed.selection.model_signals import read

COUNT = 120


@pytest.fixture
def pool() -> list[Record]:
    """Two sources whose responses say some words of the prompt again; one of them has options."""
    found = []
    for n in range(COUNT):
        words = [f"w{(7 * n + k) % 300}" for k in range(4)]
        quiz = n % 4 > 1
        options = [" ".join(words), f"w{n} w{n + 1}"] if quiz else []
        found.append(
            single_turn(
                " ".join(words), " ".join(words), "quiz" if quiz else "web", f"row {n}", options, 0 if options else None
            )
        )
    return found


def test_a_pair_has_the_losses_of_the_model_and_is_read_once(
    tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, kept = ModelSpec(tiny_model, "plain", 128), tmp_path / "pairs.parquet"
    losses = PairLosses(spec, kept)
    groups = [[record, with_response_of(record, records[n - 1])] for n, record in enumerate(records)]
    losses.read([*groups, *([without_prompt(record)] for record in records)])
    np.testing.assert_allclose(losses.of(records)[:, 0], read(records, spec).loss, rtol=1e-4)
    elsewhere = [with_response_of(record, records[n - 1]) for n, record in enumerate(records)]
    np.testing.assert_allclose(losses.of(elsewhere)[:, 0], read(elsewhere, spec).loss, rtol=1e-4)
    assert losses.seconds(groups) > 0
    monkeypatch.setattr("experiments.shared.spread_faults_losses.load_language_model", lambda _: pytest.fail("read again"))
    again = PairLosses(spec, kept)
    again.read(groups)
    np.testing.assert_array_equal(again.of(records), losses.of(records))


def test_the_end_after_a_response_is_read_too(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    import torch

    losses, loaded = PairLosses(spec := ModelSpec(tiny_model, "plain", 128), tmp_path / "pairs.parquet"), load_language_model
    losses.read([records[:1]])
    one, model = loaded(spec).encoder.encode(records[0], end=True), loaded(spec).model
    with torch.no_grad():
        logits = model(torch.tensor([one.tokens])).logits[0, -2]
    assert losses.of(records[:1])[0, 1] == pytest.approx(-float(torch.log_softmax(logits.float(), 0)[one.tokens[-1]]), rel=1e-4)


def test_each_response_is_read_after_two_prompts_of_its_source_and_never_after_its_own() -> None:
    sources = ["web"] * 31 + ["quiz"] * 12
    others = dealt(sources, range(0, 43, 2), seed=1)
    assert list(others) == list(range(0, 43, 2))
    assert Counter(other for given in others.values() for other in given) == dict.fromkeys(range(43), 2)
    assert all(sources[place] == sources[other] and place != other for place, given in others.items() for other in given)


def test_faults_are_spread_over_all_sources(pool: list[Record]) -> None:
    records, faulty = damaged(pool, WITHIN, 0.1, 1)
    assert Counter(record.source for record, bad in zip(records, faulty, strict=True) if bad) == {"web": 6, "quiz": 6}
    owners = {record.response: record.source for record in pool}
    assert all(owners[record.response] == record.source for record in records)
    assert {record.source for record, bad in zip(*damaged(pool, WRONG, 0.1, 1), strict=True) if bad} == {"quiz"}
    assert all(len(record.response.split()) == 2 for record, bad in zip(*damaged(pool, TRUNCATED, 0.1, 1), strict=True) if bad)


def test_results_leave_out_what_the_choice_was_made_by_and_signals_that_some_records_lack() -> None:
    faulty = np.array([True, False, False])
    good, poor, none = np.array([0.0, 1.0, 2.0]), np.array([2.0, 1.0, 0.0]), np.array([0.0, np.nan, 1.0])
    pools = [(kind, share, seed) for kind in (WITHIN, ACROSS) for share in (0.05, 0.1) for seed in (1, 2, 3)]
    found = compared(
        {of: {"found": good if of[2] > 1 else poor, "lacking": none} for of in pools}, dict.fromkeys(pools, faulty)
    )
    assert found["auroc"][WITHIN]["10%"] == {"found": {"mean": 1.0, "low": 1.0, "high": 1.0}}
    assert found["auroc"][ACROSS]["5%"]["found"] == {"mean": pytest.approx(2 / 3), "low": 0.0, "high": 1.0}
    assert found["auroc_where_it_was_chosen"][WITHIN] == {"found": 0.0}


def test_a_study_of_a_small_pool_finds_swapped_responses_without_knowing_them(
    pool: list[Record], tiny_model: str, tiny_embedder: str, project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_json("data/model.json", {"name": tiny_model})
    write_json("data/embedder.json", {"name": tiny_embedder})
    write_jsonl("data/prepared/pool.jsonl", (record.to_row() for record in pool))
    text = (project_root / "params.yaml").read_text(encoding="utf-8")
    named = text.replace("packaged/smollm2-135m-instruct", tiny_model).replace("packaged/all-minilm-l6-v2", tiny_embedder)
    write_text("params.yaml", named)
    kinds = (WITHIN, ACROSS, TRUNCATED, WRONG)
    monkeypatch.setattr(spread_faults, "SEEDS", (1, 2))
    monkeypatch.setattr(spread_faults, "POOLS", [(kind, 0.1, seed) for kind in kinds for seed in (1, 2)])
    spread_faults.main()
    found = read_json(spread_faults.RESULT)
    assert (found["records"], found["judged"]) == (COUNT, COUNT // 2)
    assert found["auroc"][WITHIN]["10%"]["prompt fit"]["mean"] > 0.8
    assert {"cosine", "perplexity, low", "both contrasts"} < set(found["auroc"][WITHIN]["10%"])
    assert "both contrasts" not in found["auroc"][TRUNCATED]["10%"]
    assert set(found["prompt_fit"][WRONG]["auroc_by_source"]) == {"quiz"}
    assert set(found["seconds"]) == {"embeddings", "own", "own and alone", "own, alone and elsewhere"}
