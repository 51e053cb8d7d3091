"""A damaged ledger never gives another number: what is not as it was kept is set aside, said, and measured again."""

import random
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from sine_game import COALITIONS, NAN, PLAYERS, WEIGHTS, SineGame, changed, numbers, played, rows
from soaking import times

from shed.common.errors import ShedError
from shed.valuation.game import Evaluation, Run
from shed.valuation.ledger import Ledger


def test_no_bit_that_flips_in_a_ledger_gives_another_number(
    folder: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true, whole = numbers(played(ledger, SineGame())), ledger.read_bytes()
    draw, ends = random.Random(7), {"nothing": 0, "measured again": 0}
    lines: list[str] = []
    for n in range(times(300, "ledgers of which one bit was flipped")):
        path = folder / str(n) / "ledger.sqlite"
        path.parent.mkdir()
        content, at = bytearray(whole), draw.randrange(8 * len(whole))
        content[at // 8] ^= 1 << at % 8
        path.write_bytes(content)
        game = SineGame()
        capsys.readouterr()
        try:
            found = numbers(played(path, game))
        except ShedError as refused:
            lines.append(str(refused))
            continue
        np.testing.assert_array_equal(found, true)
        assert bool(game.measured) <= capsys.readouterr().err.count("\n") <= 1
        ends["measured again" if game.measured else "nothing"] += 1
    assert ends["measured again"] > 50
    assert ends["nothing"] > 50  # in pages without rows
    assert len(lines) < 0.07 * (len(lines) + sum(ends.values()))
    assert not [line for line in lines if "\n" in line]


def test_damage_of_which_sqlite_has_much_to_say_is_one_line(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = ledger.read_bytes()
    ledger.write_bytes(whole.replace(b"diverged (\n    game", b"diverged (\n    `ame"))
    assert ledger.read_bytes() != whole
    played_again = SineGame()
    assert len(list(played(ledger, played_again))) == played_again.measured
    said = capsys.readouterr().err
    assert "malformed database schema" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("damage", ["zeros", "noise", "cut"])
def test_a_ledger_that_lost_a_block_gives_no_other_number(folder: Path, ledger: Path, damage: str) -> None:
    true, whole = numbers(played(ledger, SineGame())), ledger.read_bytes()
    draw = random.Random(7)
    for n in range(times(25, "ledgers that lost a block of 512 bytes")):
        path = folder / str(n) / "ledger.sqlite"
        path.parent.mkdir()
        at = draw.randrange(len(whole) - 512)
        lost = {"zeros": bytes(512), "noise": draw.randbytes(512), "cut": b""}[damage]
        path.write_bytes(whole[:at] + lost + (whole[at + 512 :] if lost else b""))
        with suppress(ShedError):
            np.testing.assert_array_equal(numbers(played(path, SineGame())), true)


@pytest.mark.parametrize(
    ("statement", "times"),
    [
        ("UPDATE evaluations SET utility = utility + 1e-15 WHERE utility > 0.5 AND coalition NOT LIKE '%-%'", 10),
        ("UPDATE evaluations SET utility = NULL WHERE utility > 0.9", 5),  # as if it had diverged
        ("UPDATE evaluations SET utility = 1e999 WHERE utility > 0.9", 5),
        ("UPDATE evaluations SET utility = 'good' WHERE utility > 0.9", 5),
        ("UPDATE evaluations SET utility = 0.5 WHERE utility IS NULL", 5),
        ("UPDATE evaluations SET seconds = 0.26 WHERE utility IS NULL", 5),
        ("UPDATE evaluations SET fte = 1e999 WHERE utility > 0.9", 5),
        ("UPDATE marginals SET marginals = substr(marginals, 1, 64)", 13),
        ("UPDATE marginals SET marginals = substr(marginals, 1, 65)", 13),
        ("UPDATE marginals SET marginals = marginals || zeroblob(8)", 13),
        ("DELETE FROM marginals", 13),
        ("INSERT INTO marginals SELECT game, coalition, zeroblob(72) FROM evaluations WHERE utility IS NULL", 5),
        ("DELETE FROM diverged", 5),
        ("INSERT INTO diverged SELECT game, coalition, '1' FROM evaluations WHERE utility > 0.9", 5),
        ("DELETE FROM evaluations WHERE utility > 0.5", 10),
        ("DELETE FROM digests", 54),
        ("UPDATE digests SET digest = zeroblob(32)", 54),
    ],
)
def test_a_value_that_was_changed_by_hand_is_not_believed(
    statement: str, times: int, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = numbers(played(ledger, SineGame()))
    count = changed(ledger, statement)
    assert count >= times
    game = SineGame()
    np.testing.assert_array_equal(numbers(played(ledger, game)), true)
    assert game.measured == count
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(rf"\({count} (not as they were kept|without a digest, as an older shed kept them)\); its table", said)
    assert rows(ledger, "SELECT COUNT(*) FROM damaged") == [(count,)]  # they are kept all the same
    again = SineGame()
    np.testing.assert_array_equal(numbers(played(ledger, again)), true)
    assert (again.measured, capsys.readouterr().err) == (0, "")


def test_what_other_code_kept_stays_where_it_is(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(ledger, "DELETE FROM digests")  # as an older shed kept them
    before = rows(ledger, "SELECT * FROM evaluations")
    with Ledger(ledger).play(SineGame(), {"game": "of other code"}) as play:
        play.value(COALITIONS)
        assert play.new == len(COALITIONS)
    assert set(before) < set(rows(ledger, "SELECT * FROM evaluations"))
    assert capsys.readouterr().err == ""


def test_evaluations_of_two_coalitions_cannot_change_places(ledger: Path) -> None:
    true = numbers(played(ledger, SineGame()))
    (one,), (other,) = rows(
        ledger, "SELECT coalition FROM evaluations WHERE utility > 0.9 AND coalition NOT LIKE '%-%' LIMIT 2"
    )
    for table, key in (("evaluations", "coalition"), ("digests", "name")):
        for before, after in ((one, "aside"), (other, one), ("aside", other)):
            changed(ledger, f"UPDATE {table} SET {key} = '{after}' WHERE {key} = '{before}'")
    np.testing.assert_array_equal(numbers(played(ledger, SineGame())), true)


def test_whatever_is_not_finite_is_kept_as_diverged(folder: Path) -> None:
    path = folder / "ledger.sqlite"
    first, second = (list(played(path, SineGame(worst=float("-inf")))) for _ in range(2))
    assert [one.utility for one in first if not np.isfinite(one.utility)] == pytest.approx([NAN] * 5, nan_ok=True)
    np.testing.assert_array_equal(numbers(iter(first)), numbers(iter(second)))
    assert rows(path, "SELECT COUNT(*) FROM evaluations WHERE utility IS NULL") == [(5,)]


def test_what_is_damaged_while_a_game_is_played_is_measured_again(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    game = SineGame()
    with Ledger(ledger).play(game, {"game": "sine"}, "candidates") as play:
        count = changed(ledger, "UPDATE evaluations SET utility = 7 WHERE utility > 0.9 AND coalition NOT LIKE '%-%'")
        assert 7 not in play.value(COALITIONS)
        assert game.measured == play.new == count > 0
    assert f"({count} not as they were kept)" in capsys.readouterr().err


def test_a_game_that_gives_too_few_marginals_is_refused(folder: Path) -> None:
    class Short(SineGame):
        def _evaluate(self, weights: np.ndarray, run: Run | None) -> Evaluation:
            return Evaluation(1.0, 0.5, 0.5, np.zeros(PLAYERS - 1))

    with (
        Ledger(folder / "ledger.sqlite").play(Short(), {}) as play,
        pytest.raises(ShedError, match="cannot be kept: its cost or its marginals are not of this game's form"),
    ):
        list(play.find_or_evaluate(WEIGHTS, Run("in_run")))


def test_what_is_sound_in_a_damaged_ledger_is_taken_over(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    true = numbers(played(ledger, SineGame()))
    (page,) = rows(ledger, "SELECT rootpage FROM sqlite_master WHERE name = 'damaged'")[0]
    assert isinstance(page, int)
    with ledger.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"no page at all")
    game = SineGame()
    np.testing.assert_array_equal(numbers(played(ledger, game)), true)
    assert game.measured == 0
    assert "and a new one begun with the 54 evaluations that are as they were kept" in capsys.readouterr().err
    assert len(list(ledger.parent.glob("ledger.sqlite.damaged-*"))) == 1
