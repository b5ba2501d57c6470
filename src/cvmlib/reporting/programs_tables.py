"""The tables of the programs page as a reader sees them: columns named in words, with their units."""

import pandas as pd

from cvmlib.reporting.programs_words import MEASURED, VERDICTS

Formats = dict[str, str]


def overview_table(results: pd.DataFrame, currency: str, interval: float) -> tuple[pd.DataFrame, Formats]:
    """Every program with its verdict, the probability behind it, cost, incremental margin and margin back."""
    names = {
        "label": "Program",
        "verdict": "Verdict",
        "probability": "Probability of paying",
        "how": "Measured by",
        "cost": f"Cost ({currency})",
        "gain": f"Incremental margin ({currency})",
        "gain_low": f"{interval:.0%} interval from",
        "gain_high": "to",
        "back": f"Margin back per {currency}",
        "hurdle": f"Asked for per {currency}",
    }
    table = results.assign(verdict=results["verdict"].map(VERDICTS), how=results["design"].map(MEASURED))
    order = results["verdict"].map({name: i for i, name in enumerate(VERDICTS)})
    table = table.assign(place=order).sort_values(["place", "probability"], ascending=[True, False])
    shown = table.rename(columns=names)[list(names.values())].reset_index(drop=True)
    formats = dict.fromkeys([names["cost"], names["gain"], names["gain_low"], names["gain_high"]], "money")
    return shown, formats | {names["probability"]: "percent", names["back"]: "number:2", names["hurdle"]: "number:2"}


def returns_frame(results: pd.DataFrame) -> pd.DataFrame:
    """Margin back per unit of cost in the columns that `cvmlib.plots.forest` draws, best first."""
    known = results[results["back"].notna() & results["verdict"].isin(["scale", "keep", "retest", "stop"])]
    known = known.sort_values("back", ascending=False)
    return known.rename(columns={"label": "name", "back": "mean", "back_low": "low", "back_high": "high"})[
        ["name", "mean", "low", "high"]
    ].reset_index(drop=True)


def lift_table(results: pd.DataFrame, interval: float) -> tuple[pd.DataFrame, Formats]:
    """Measured and pooled lift of every program with a randomised holdout, with what it rests on."""
    names = {
        "label": "Program",
        "treated": "Treated",
        "control": "Held back",
        "rate_treated": "Converted, treated",
        "rate_control": "Converted, held back",
        "conversion_better": "Probability of converting more",
        "relative": "Measured lift in money",
        "pooled": "Lift among peers",
        "pooled_low": f"{interval:.0%} interval from",
        "pooled_high": "to",
        "cut": "Variance explained by the past",
    }
    table = results[(results["design"] == "randomised") & results["pooled"].notna()]
    formats = dict.fromkeys(list(names.values())[3:], "percent:1")
    return table.rename(columns=names)[list(names.values())].reset_index(drop=True), formats


def value_table(results: pd.DataFrame, currency: str, interval: float) -> tuple[pd.DataFrame, Formats]:
    """Margin in the window beside margin with the change in predicted customer value."""
    names = {
        "label": "Program",
        "cost": f"Cost ({currency})",
        "gain": f"Margin in the window ({currency})",
        "total_gain": f"With customer value ({currency})",
        "total_gain_low": f"{interval:.0%} interval from",
        "total_gain_high": "to",
        "probability": "Probability of paying in the window",
        "total_probability": "with customer value",
    }
    table = results[results["total_gain"].notna()].rename(columns=names)[list(names.values())]
    formats = dict.fromkeys(list(names.values())[1:6], "money")
    return table.reset_index(drop=True), formats | dict.fromkeys(list(names.values())[6:], "percent")


def segment_table(segments: pd.DataFrame, interval: float) -> tuple[pd.DataFrame, Formats]:
    """Lift by segment, those furthest from their program first."""
    names = {
        "label": "Program",
        "dimension": "Told apart by",
        "level": "Segment",
        "treated": "Treated",
        "control": "Held back",
        "measured": "Measured lift",
        "pooled": "Lift after shrinking",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "above": "Probability of being above the others",
    }
    far = (segments["above"] - 0.5).abs().sort_values(ascending=False).index
    table = segments.loc[far].assign(dimension=segments["dimension"].str.replace("_", " "))
    formats = dict.fromkeys(list(names.values())[5:9], "percent:1") | {names["above"]: "percent"}
    formats |= dict.fromkeys([names["treated"], names["control"]], "integer")
    return table.rename(columns=names)[list(names.values())].reset_index(drop=True), formats


def scorecard_table(scorecard: pd.DataFrame) -> tuple[pd.DataFrame, Formats]:
    """Intended outcome against what was counted, and who measured the link."""
    names = {
        "label": "Program",
        "challenge": "Challenge",
        "intended_outcome": "Intended outcome",
        "counted": "Activity counted",
        "kind": "Closest to the outcome",
        "before": "A week before",
        "during": "A week during",
        "change": "Change",
        "measured": "Link measured by",
    }
    table = scorecard.assign(counted=scorecard["counted"].replace("", "nothing"))
    formats = {names["before"]: "number:0", names["during"]: "number:0", names["change"]: "percent"}
    return table.rename(columns=names)[list(names.values())], formats


def tests_table(tests: pd.DataFrame, currency: str) -> tuple[pd.DataFrame, Formats]:
    """Rank the next tests: size, holdout, duration, cost, power and what knowing is worth."""
    names = {
        "label": "Program",
        "reason": "Why test",
        "customers": "Customers",
        "held_back": "Held back",
        "days": "Days",
        "needed": "Lift needed to pay",
        "detectable": "Lift found with 80% power",
        "clear": "Chance of a clear verdict",
        "cost": f"Cost ({currency})",
        "worth": f"Worth of knowing ({currency})",
        "net": f"Worth less cost ({currency})",
    }
    table = tests[tests["why_not"] == ""].rename(columns=names)[list(names.values())].reset_index(drop=True)
    table.insert(0, "Rank", range(1, len(table) + 1))
    formats = dict.fromkeys(list(names.values())[-3:], "money")
    formats |= {names[key]: "percent" for key in ("held_back", "clear")}
    formats |= {names[key]: "percent:1" for key in ("needed", "detectable")}
    return table, formats | {names["customers"]: "integer", names["days"]: "integer"}


def region_table(results: pd.DataFrame, interval: float) -> tuple[pd.DataFrame, Formats]:
    """Change of the treated areas of every regional test, and how far areas stray without any program."""
    names = {
        "label": "Program",
        "pooled": "Change against what was expected",
        "pooled_low": f"{interval:.0%} interval from",
        "pooled_high": "to",
        "p_value": "Placebo p-value",
        "moved": "Untreated areas, each alone, that moved as much",
    }
    table = results[(results["design"] == "regional") & results["pooled"].notna()]
    formats = dict.fromkeys(list(names.values())[1:], "percent:1") | {names["moved"]: "percent"}
    return table.rename(columns=names)[list(names.values())].reset_index(drop=True), formats


def course_table(course: pd.DataFrame, interval: float) -> pd.DataFrame:
    """Regional sales by period: actual, expected with its interval, and whether the test ran."""
    names = {"date": "Date", "actual": "Actual", "expected": "Expected", "low": f"{interval:.0%} interval from",
             "high": "to", "tested": "Test"}  # fmt: skip
    shown = course.rename(columns=names)[list(names.values())]
    return shown.assign(Test=shown["Test"].map({True: "yes", False: ""})).reset_index(drop=True)
