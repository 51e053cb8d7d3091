"""Who is read together: batches of like lengths, in parts that memory can take."""

from hypothesis import given
from hypothesis import strategies as st

from shed.engine.batches import length_batches, split


def test_batches_hold_records_of_similar_length_and_each_record_once_an_epoch() -> None:
    lengths = [5, 90, 7, 60, 6, 80, 8, 70]
    batches = length_batches(lengths, 4, 2, seed=0)
    for epoch in (batches[:2], batches[2:]):
        assert sorted(map(sorted, epoch)) == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_a_batch_that_is_too_large_with_its_padding_is_split() -> None:
    lengths = [10, 10, 30, 5, 100]
    assert split([[0, 1, 3]], lengths, 30) == [[0, 1, 3]]
    assert split([[0, 1, 2], [3]], lengths, 60) == [[0, 1], [2], [3]]  # each as if as long as the longest, 30
    assert split([[4, 0], [1, 3]], lengths, 60) == [[4], [0], [1, 3]]  # too long by itself, and read all the same
    assert split([], lengths, 60) == []


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=9), max_size=5), st.integers(1, 120))
def test_parts_keep_the_order_and_are_neither_too_large_nor_needlessly_small(batches: list[list[int]], most: int) -> None:
    lengths = [length for batch in batches for length in batch]
    numbers = iter(range(len(lengths)))
    numbered = [[next(numbers) for _ in batch] for batch in batches]
    parts = split(numbered, lengths, most)
    assert [i for part in parts for i in part] == list(range(len(lengths)))
    last = {batch[-1] for batch in numbered}
    for part in parts:
        (batch,) = (batch for batch in numbered if set(part) <= set(batch))
        longest = max(lengths[i] for i in batch)
        assert len(part) == 1 or len(part) * longest <= most
        assert part[-1] in last or (len(part) + 1) * longest > most
