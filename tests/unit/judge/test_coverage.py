"""What runs in int8, and what a backend runs, is counted exactly; what should and does not is named."""

from __future__ import annotations

import math
from typing import Any

import pytest

from vitgate.judge.computed import coverage
from vitgate.spec.outcome import Finding
from vitgate.spec.variants import SUCCESSORS, Variant, VariantName

from .near import near

INT8, FLOAT, ROUNDED = SUCCESSORS["executorch_int8"], SUCCESSORS["executorch"], SUCCESSORS["exported_int8wo"]


def product(
    name: str, *, int8: bool = True, linear: bool = True, delegated: bool = True, weight: str = ""
) -> dict[str, Any]:
    return {"name": name, "int8": int8, "linear": linear, "delegated": delegated, "weight": weight}


def found(
    *products: dict[str, Any], left: dict[str, int] | None = None, **options: Any
) -> dict[str, tuple[float, str]]:
    own = {"products": products, "partitions": None if left is None else 1, "left": left or {}}
    judged = coverage(own, options.pop("plain", {}), **{"linears": None, "form": INT8, **options})
    return {each.statistic: (each.value, each.note) for each in judged if each.judged}


def test_fully_quantized_file_has_no_float_linear() -> None:
    assert found(product("a"), product("b")) == {"float_linears": (0.0, "2 of 2 products with a weight in int8")}


def test_a_linear_that_stays_in_float_is_named() -> None:
    value, note = found(product("a"), product("b", int8=False))["float_linears"]

    assert (value, note) == (1.0, "b; 1 of 2 products with a weight in int8")


def test_operators_outside_linear_recipe_are_no_fault() -> None:
    assert found(product("a"), product("b", int8=False, linear=False))["float_linears"][0] == 0.0


def test_unnamed_products_are_counted_against_number_of_linears() -> None:
    products = [product("fully connected"), product("fully connected", int8=False)]

    assert [found(*products, linears=number)["float_linears"][0] for number in (1, 2, 3)] == [0.0, 1.0, 2.0]


def test_float_file_has_no_int8_product() -> None:
    assert found(product("a"), product("b", int8=False), form=FLOAT) == {
        "int8_linears": (1.0, "a; 1 of 2 products with a weight in int8")
    }


@pytest.mark.parametrize(("variant", "numbers"), [("exported_bf16", "bfloat16"), ("exported_int8wo", "int8")])
def test_weight_in_other_numbers_is_named(variant: VariantName, numbers: str) -> None:
    products = [product("a", int8=False, weight=numbers), product("b", int8=False, weight="float32")]
    judged = found(*products, product("c", int8=True, weight=numbers), form=SUCCESSORS[variant])

    assert judged["float_linears"] == (1.0, f"b; 2 of 3 weights of products in {numbers}")
    assert judged["int8_linears"][0] == 1.0


@pytest.mark.parametrize(("count", "lost"), [(1, -1.0), (2, 0.0), (3, 1.0)])
def test_lost_and_added_products_are_counted(count: int, lost: float) -> None:
    plain = {"products": [product("a", int8=False)] * count}

    assert found(product("a"), product("b"), plain=plain)["lost_products"][0] == lost


def test_a_product_that_no_backend_takes_is_named() -> None:
    products = [product("a"), product("mm", int8=False, delegated=False)]

    assert found(*products, left={"aten::mm": 1}, linears=1)["undelegated_products"] == (1.0, "mm")


def test_undelegated_operators_are_shown() -> None:
    own = {"products": [product("a")], "partitions": 2, "left": {"aten::mul": 2, "aten::add": 1}}
    shown = {each.statistic: each for each in coverage(own, {}, linears=None, form=INT8) if not each.judged}

    assert (shown["operators_left"].value, shown["operators_left"].note) == (3.0, "2 aten::mul, 1 aten::add")
    assert shown["weight_products"].value == 1.0


LOST = Finding("lost_products", 1.0, "1", against="float")


def test_everything_is_said_of_a_delegated_int8_file() -> None:
    products = [product("a"), *(product(name, int8=False, delegated=False) for name in "bcdefg")]
    own = {"products": products, "partitions": 2, "left": {"aten::mul": 2, "aten::add": 1}}

    assert coverage(own, {"products": [product("a")] * 8}, linears=None, form=INT8) == (
        Finding("weight_products", 7.0, "1", judged=False),
        Finding("float_linears", 6.0, "1", note="b, c, d, e, f; 1 of 7 products with a weight in int8"),
        LOST,
        Finding("undelegated_products", 6.0, "1", note="b, c, d, e, f"),
        Finding("operators_left", 3.0, "1", judged=False, note="2 aten::mul, 1 aten::add"),
    )


def test_everything_is_said_of_a_float_file() -> None:
    own: dict[str, Any] = {"products": [product("a"), product("b", int8=False)], "partitions": None, "left": {}}

    assert coverage(own, {"products": [product("a")] * 3}, linears=None, form=FLOAT) == (
        Finding("weight_products", 2.0, "1", judged=False),
        Finding("int8_linears", 1.0, "1", note="a; 1 of 2 products with a weight in int8"),
        LOST,
    )


def test_everything_is_said_of_a_file_with_rounded_weights() -> None:
    products = [product("a", weight="int8"), product("b", int8=False, weight="float32")]

    assert coverage({"products": products}, {"products": [product("a")] * 3}, linears=None, form=ROUNDED) == (
        Finding("weight_products", 2.0, "1", judged=False),
        Finding("float_linears", 1.0, "1", note="b; 1 of 2 weights of products in int8"),
        Finding("int8_linears", 1.0, "1", note="a; 1 of 2 weights of products in int8"),
        LOST,
    )


@pytest.mark.parametrize("form", [INT8, FLOAT, ROUNDED], ids=lambda form: form.name)
def test_file_without_products_says_nothing_of_them(form: Variant) -> None:
    found = coverage({"products": [], "partitions": None}, {}, linears=None, form=form)

    assert found[:1] == near(Finding("weight_products", math.nan, "1", judged=False))
