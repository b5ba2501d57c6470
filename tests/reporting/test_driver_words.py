import pandas as pd

from cvmlib.reporting import driver_words as words


def effects(**ratios) -> pd.DataFrame:
    rows = [("mobile", "plan", level, 10, *ratio) for level, ratio in ratios.items()]
    return pd.DataFrame(
        rows, columns=["unit", "covariate", "level", "subscriptions", "ratio", "ratio_low", "ratio_high"]
    )


def test_drivers_beyond_doubt_are_named_with_their_intervals():
    told = words.describe_drivers(effects(basic=(1.3, 1.1, 1.5), plus=(1.0, 0.9, 1.1), premium=(0.7, 0.6, 0.8)))
    assert told == (
        "mobile: more prone to leave are plan “basic” (1.30 times, 1.10 to 1.50); less prone to leave are plan "
        "“premium” (0.70 times, 0.60 to 0.80)."
    )
    doubtful = words.describe_drivers(effects(basic=(1.1, 0.9, 1.3)))
    assert doubtful == "mobile: no covariate makes a difference that is beyond doubt."
    assert words.describe_drivers(effects()).startswith("Without covariates")


def test_refused_columns_are_told_with_the_reason():
    columns = pd.DataFrame(
        [("mobile", "plan", True, "plan has 2 levels."), ("mobile", "gone", False, "gone knows the outcome.")],
        columns=["unit", "column", "used", "sentence"],
    )
    assert words.describe_covariates(columns) == (
        "1 column may drive leaving. 1 column named as covariates cannot be used. mobile: gone knows the outcome."
    )
    assert words.describe_covariates(columns[:1]) == "1 column may drive leaving."
    assert "names no covariates" in words.describe_covariates(columns[:0])


def test_fits_that_did_not_converge_are_named():
    gates = pd.DataFrame(
        [("a, b", "BdW", True, "Fine."), ("a, b", "sBG", False, "Did not converge.")],
        columns=["units", "model", "passed", "sentence"],
    )
    assert words.describe_gates(gates) == "1 of 2 fits may not be relied on. sBG of a, b: Did not converge."
    assert words.describe_gates(gates[:1]) == "1 fit, and all of them may be relied on."
    assert words.describe_gates(gates[:0]) == "No unit has enough leavers to fit a retention model."


def test_the_end_says_what_was_saved():
    totals = pd.DataFrame({"unit": ["a", "b"], "level": ["sound", "withheld"]})
    assert words.describe_saved(["x", "y"], totals) == (
        "2 files were saved for the reports of 2 units; the value of 1 of them may be used."
    )


def test_rows_of_the_forest_name_the_unit_where_there_are_several():
    one = effects(basic=(1.3, 1.1, 1.5))
    assert words.draw_effects(one)["name"].tolist() == ["plan: basic"]
    two = pd.concat([one, one.assign(unit="tv")])
    assert words.draw_effects(two)["name"].tolist() == ["mobile, plan: basic", "tv, plan: basic"]
    assert words.draw_effects(one[:0]).columns.tolist() == ["name", "mean", "low", "high"]


def test_only_columns_that_are_there_are_formatted():
    assert words.known_formats(pd.DataFrame({"a": [1]}), {"a": "percent", "b": "percent"}) == {"a": "percent"}
