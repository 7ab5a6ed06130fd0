from __future__ import annotations

import pytest

from rackwright.shape.source import ShapeError
from rackwright.shape.values import LAYERS, Values

VALUES = Values({"p.a": 3, "p.none": None, "p.text": "x", "p.flag": True, "p.list": [1, 2], "within": {"a": 1}}, "p.")


def test_a_value_is_of_the_type_that_is_asked_for():
    assert (VALUES.number("a"), VALUES.number("none", "a"), VALUES.number("z", default=7)) == (3, 3, 7)
    assert (VALUES.maybe("z"), VALUES.text("text"), VALUES.text("a"), VALUES.flag("flag")) == (None, "x", "", True)
    assert (VALUES.numbers("list"), VALUES.numbers("a"), VALUES.texts("list")) == ((1, 2), (), ())
    assert Values({"within": {"a": 1}}).within("within") == Values({"a": 1})


@pytest.mark.parametrize("value", [-1, 2**50, 1.5, "8", True, [1]])
def test_what_is_no_number_is_told(value: object):
    with pytest.raises(ShapeError, match="has an invalid number for a"):
        Values({"a": value}).number("a")


def test_what_is_missing_is_named():
    with pytest.raises(ShapeError, match=r"has no p\.heads"):
        VALUES.number("heads")


@pytest.mark.parametrize("depth", [0, LAYERS + 1])
def test_no_model_has_so_many_layers(depth: int):
    with pytest.raises(ShapeError, match=f"has {depth} layers"):
        Values({"n": depth}).depth("n")
