"""How long records are: as the model is tuned on them, and whether its context cuts them."""

from encoded_text import encoder

from shed.data.records import Message, Record, single_turn
from shed.models.record_lengths import record_lengths


def test_lengths_are_of_what_is_tuned_and_a_cut_in_prompt_turns_or_response_makes_a_record_too_long() -> None:
    own = encoder("smollm2", max_tokens=64)
    turns = (Message("user", "once " * 60), Message("assistant", "one"), Message("user", "two?"), Message("assistant", "two"))
    records = [
        single_turn("short?", "yes", "s", "o"),
        single_turn("why " * 100, "because", "s", "o"),
        single_turn("why?", "because " * 100, "s", "o"),
        Record(turns, "s", "o"),
    ]
    found = record_lengths(own, records)
    assert found["id"].tolist() == [record.id for record in records]
    assert found["too_long"].tolist() == [False, True, True, True]
    assert found["tokens"].tolist() == [len(own.encode(record, end=True).tokens) for record in records]
    assert found["response_tokens"].tolist() == [own.encode(record, end=True).response_length for record in records]
    assert found["response_tokens"][0] < found["response_tokens"][2] < found["tokens"][2] == 64


def test_no_records_have_no_lengths() -> None:
    assert record_lengths(encoder("smollm2"), []).dtypes.astype(str).tolist() == ["object", "int64", "int64", "bool"]
