"""A secret goes in, and does not come out by accident."""

import copy
import dataclasses
import json
import logging
import pickle

import msgspec
import orjson
import pytest
import structlog

from policies.secret import Secret

VALUE = "canary-0123456789"


def test_it_is_revealed_to_who_asks() -> None:
    """The value comes out unchanged where it is used, and equal secrets are equal."""
    assert Secret(VALUE).reveal() == VALUE
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE


@pytest.mark.parametrize(("value", "shown"), [("123456789012", "9012"), ("12345678901", None), ("", None)])
def test_only_a_long_one_shows_its_end(value: str, shown: str | None) -> None:
    """Four characters of twelve may be known; of fewer, they would be too many."""
    assert Secret(value).last_four == shown


def test_no_way_of_writing_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    """Printed, formatted, logged, in a container, a data class or an exception, it is a mask."""
    holder = dataclasses.make_dataclass("Holder", ["secret"])(Secret(VALUE))
    logging.getLogger("test").warning("%s", Secret(VALUE))
    texts = [
        str(Secret(VALUE)),
        repr(Secret(VALUE)),
        f"{Secret(VALUE)} {Secret(VALUE)!r:>30} {Secret(VALUE):>30}",
        "%s %r" % (Secret(VALUE), Secret(VALUE)),  # noqa: UP031 - this way of formatting, too
        str([Secret(VALUE)]),
        str({"key": Secret(VALUE)}),
        repr(holder),
        str(dataclasses.asdict(holder)),
        repr(copy.deepcopy(holder)),
        repr(ValueError(Secret(VALUE))),
        str(structlog.processors.JSONRenderer()(None, "", {"event": Secret(VALUE)})),
        str(structlog.dev.ConsoleRenderer()(None, "", {"event": "e", "key": Secret(VALUE)})),
        caplog.text,
    ]
    for text in texts:
        assert VALUE not in text
        assert "Secret(…)" in text or "Secret(\\u2026)" in text


def test_no_serializer_takes_it() -> None:
    """JSON, msgspec and pickles refuse it, and JSON that falls back to text gets the mask."""
    for write in (json.dumps, msgspec.json.encode, orjson.dumps, msgspec.to_builtins, pickle.dumps):
        with pytest.raises(TypeError):
            write({"key": Secret(VALUE)})  # type: ignore[operator]  # functions of several libraries
    assert VALUE not in json.dumps({"key": Secret(VALUE)}, default=str)
    assert VALUE.encode() not in orjson.dumps({"key": Secret(VALUE)}, default=str)


def test_it_has_no_other_door() -> None:
    """It has no attributes to be walked through, and is no dictionary's key."""
    with pytest.raises(TypeError):
        vars(Secret(VALUE))
    with pytest.raises(TypeError):
        hash(Secret(VALUE))
