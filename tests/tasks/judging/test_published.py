"""What papers print stands under names that are known here, and as it is printed."""

from __future__ import annotations

import pytest

from models.methods import METHODS
from tasks.judging.figures import FIGURES, named
from tasks.judging.published import published

ALL = published(list(METHODS))


def test_every_row_is_of_a_known_figure_and_says_where_it_stands() -> None:
    assert {one["method"] for one in ALL} == {"memface", "synctalkface", "dinet"}
    assert {one["figure"] for one in ALL} <= {figure.name for figure in FIGURES}
    for one in ALL:
        assert set(one) == {"method", "figure", "label", "value", "source", "data"}
        assert all(one.values())
        assert named(one["figure"]).better in ("more", "less")


def test_no_figure_stands_twice_for_the_same_films() -> None:
    told = [(one["method"], one["figure"], one["data"]) for one in ALL]
    assert len(told) == len(set(told))


def test_nobody_is_left_out_for_whom_there_is_a_table() -> None:
    from tasks.judging import published as module

    assert {table.method for table in module._TABLES} <= METHODS.keys()
    assert len(ALL) == sum(len(table.figures) for table in module._TABLES)


def test_values_keep_the_digits_that_are_printed() -> None:
    values = {(one["method"], one["figure"], one["data"]): one["value"] for one in ALL}
    assert values["dinet", "ssim", "HDTF"] == "0.9425"
    assert values["memface", "lse_c", "Obama"] == "6.022"
    assert values["synctalkface", "psnr", "LRS2, sentences"] == "32.529"
    assert all(float(value) > 0 for value in values.values())


def test_rows_come_in_the_order_of_the_methods_that_are_asked_for() -> None:
    methods = [one["method"] for one in published(["dinet", "nearest", "facial", "memface"])]
    assert list(dict.fromkeys(methods)) == ["dinet", "memface"]


@pytest.mark.parametrize("name", ["nearest", "facial"])
def test_where_no_figure_is_known_none_is_told(name: str) -> None:
    assert published([name]) == []


def test_distances_of_landmarks_say_that_their_unit_is_another() -> None:
    for one in ALL:
        assert ("unit of its own" in one["data"]) == (one["figure"] == "lmd")
