from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.programs import counts

END = date(2026, 6, 30)


@pytest.fixture(scope="module")
def programs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "program_id": ["a", "b"],
            "intended_outcome": ["revenue", "acquisition"],
            "start": pd.to_datetime(["2026-01-01", "2026-02-01"]),
            "window_days": [30.0, np.nan],
        }
    )


@pytest.fixture(scope="module")
def assignments() -> pd.DataFrame:
    rows = [
        ("a", "u1", "treated", "2025-12-20"), ("a", "u2", "control", "2026-01-05"),
        ("a", "u3", "treated", "2026-01-01"),
        ("a", "u3", "control", "2026-01-01"), ("b", "u1", "treated", None), ("*", "u4", "control", "2026-01-01"),
        ("*", "u5", "treated", None), (None, "u6", "treated", None), ("a", "u7", "unknown", None),
        ("c", "u8", "treated", None), ("a", "u1", "treated", "2025-12-20"),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["program_id", "customer_id", "arm", "assigned_on"])
    return frame.assign(assigned_on=pd.to_datetime(frame["assigned_on"]))


@pytest.fixture(scope="module")
def assigned(assignments, programs) -> ibis.Table:
    return counts.assign_customers(ibis.memtable(assignments), ibis.memtable(programs))


def test_customers_are_assigned_once_and_the_universal_holdout_to_all(assigned):
    found = assigned.to_pandas().sort_values(["program_id", "customer_id"]).reset_index(drop=True)
    rows = list(found[["program_id", "customer_id", "arm"]].itertuples(index=False, name=None))
    assert rows == [
        ("a", "u1", "treated"), ("a", "u2", "control"), ("a", "u4", "control"),
        ("b", "u1", "treated"), ("b", "u4", "control"),
    ]  # fmt: skip
    began = dict(zip(zip(found["program_id"], found["customer_id"], strict=True), found["began"], strict=True))
    assert began["a", "u1"] == pd.Timestamp("2026-01-01")  # drawn before the start, counted from it
    assert began["a", "u2"] == pd.Timestamp("2026-01-05")
    assert began["b", "u4"] == pd.Timestamp("2026-02-01")
    assert dict(zip(found["program_id"], found["window"], strict=True)) == {"a": 30.0, "b": 90.0}


def test_purchases_fall_into_the_window_or_before_it(assigned):
    log = pd.DataFrame(
        [("u1", "2026-01-01", 10.0), ("u1", "2026-01-30", 5.0), ("u1", "2026-01-31", 99.0), ("u1", "2025-12-31", 7.0),
         ("u1", "2025-12-01", 99.0), ("u2", "2026-01-10", 20.0), ("u2", "2026-01-11", -20.0)],
        columns=["customer_id", "date", "value"],
    )  # fmt: skip
    log["date"] = pd.to_datetime(log["date"])
    found = counts.add_purchases(assigned, ibis.memtable(log), END).to_pandas().set_index(["program_id", "customer_id"])
    assert found.loc[("a", "u1"), ["y", "x", "converted"]].tolist() == [15.0, 7.0, 1.0]
    assert found.loc[("a", "u2"), ["y", "x", "converted"]].tolist() == [0.0, 0.0, 0.0]  # bought and sent back
    assert found.loc[("a", "u4"), ["y", "x", "converted"]].tolist() == [0.0, 0.0, 0.0]
    assert found.loc[("b", "u1"), ["y", "x"]].tolist() == [0.0, 10.0 + 5.0 + 99.0 + 7.0 + 99.0]


def test_end_of_observation_cuts_the_window(assigned):
    log = pd.DataFrame(
        {"customer_id": ["u1", "u1"], "date": pd.to_datetime(["2026-01-10", "2026-01-11"]), "value": 1.0}
    )
    found = counts.add_purchases(assigned, ibis.memtable(log), date(2026, 1, 10)).to_pandas()
    assert found["y"].sum() == 1.0


def test_fees_accrue_by_the_day(assigned):
    contracts = pd.DataFrame(
        [
            ("u1", "2025-06-01", None, 30.4375),
            ("u2", "2025-12-26", "2026-01-15", 60.875),
            ("u4", "2026-03-01", None, 10.0),
        ],
        columns=["customer_id", "start", "end", "price"],
    )
    contracts[["start", "end"]] = contracts[["start", "end"]].apply(pd.to_datetime)
    found = (
        counts.add_fees(assigned, ibis.memtable(contracts), END).to_pandas().set_index(["program_id", "customer_id"])
    )
    assert found.loc[("a", "u1"), ["y", "x", "converted"]].tolist() == pytest.approx([30.0, 30.0, 1.0])
    assert found.loc[("a", "u2"), ["y", "x", "converted"]].tolist() == pytest.approx([20.0, 20.0, 0.0])
    assert found.loc[("a", "u4"), ["y", "x", "converted"]].tolist() == pytest.approx([0.0, 0.0, 0.0])
    assert found.loc[("b", "u4"), "converted"] == 1.0


def test_strangers_are_left_out_unless_the_program_wins_them(assigned):
    customers = pd.DataFrame({"customer_id": ["u1", "u2"], "acquired_on": pd.to_datetime(["2026-03-01", "2026-01-05"])})
    found = counts.leave_out_strangers(assigned, ibis.memtable(customers)).to_pandas()
    kept = set(zip(found["program_id"], found["customer_id"], strict=True))
    assert kept == {("a", "u2"), ("a", "u4"), ("b", "u1"), ("b", "u4")}


def test_outcomes_of_the_assignments_themselves(assignments, programs):
    own = assignments.assign(outcome=[3.0, np.nan, 1, 1, 2, np.inf, 1, 1, 1, 1, 3.0], before=4.0)
    rows = counts.take_outcomes(counts.assign_customers(ibis.memtable(own), ibis.memtable(programs))).to_pandas()
    rows = rows.set_index(["program_id", "customer_id"]).sort_index()
    assert rows["y"].to_dict() == {("a", "u1"): 3, ("a", "u2"): 0, ("a", "u4"): 0, ("b", "u1"): 2, ("b", "u4"): 0}
    assert rows["converted"].tolist() == [1, 0, 0, 1, 0] and (rows["x"] == 4).all()
    converted = assignments.assign(converted=1.0)
    rows = counts.take_outcomes(counts.assign_customers(ibis.memtable(converted), ibis.memtable(programs))).to_pandas()
    assert (rows["y"] == 1).all()


def test_moments_are_those_of_the_customers():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {
            "program_id": rng.choice(["a", "b"], 500), "customer_id": [f"u{i}" for i in range(500)],
            "arm": rng.choice(["treated", "control"], 500), "y": rng.gamma(0.3, 50, 500), "x": rng.gamma(0.3, 50, 500),
            "converted": rng.integers(0, 2, 500).astype(float), "region": rng.choice(["n", "s", None], 500),
        }
    )  # fmt: skip
    values = pd.DataFrame({"customer_id": [f"u{i}" for i in range(400)], "value": rng.normal(5, 2, 400)})
    found = counts.count_arms(ibis.memtable(rows), ["region"], ibis.memtable(values))
    joined = rows.merge(values, how="left", on="customer_id").fillna({"value": 0.0, "region": "not known"})
    assert set(found["level"]) == {"", "n", "s", "not known"} and len(found) == 4 + 12
    for key, part in joined.groupby(["program_id", "arm", "region"]):
        row = found.set_index(["program_id", "arm", "level"]).loc[key]
        y, x, v, b = part["y"], part["x"], part["value"], part["converted"]
        expected = [len(part), b.sum(), y.sum(), (y**2).sum(), (y**3).sum(), (y**4).sum(), x.sum(),
                    (x**2).sum(), (x * y).sum(), v.sum(), (v**2).sum(), (v * y).sum(), (v * x).sum(),
                    (b * y).sum(), (b * x).sum()]  # fmt: skip
        assert row[list(counts.MOMENTS)].tolist() == pytest.approx(expected)
    whole = found[found["dimension"] == ""]
    assert whole["customers"].sum() == 500


def test_baseline_is_that_of_customers_known_before():
    rng = np.random.default_rng(2)
    days = pd.Timestamp(END) - pd.to_timedelta(rng.integers(0, 400, 3_000), unit="D")
    log = pd.DataFrame({"customer_id": rng.integers(0, 200, 3_000).astype(str), "date": days, "value": 10.0})
    found = counts.measure_baseline(ibis.memtable(log), counts.add_purchases, END)
    began = pd.Timestamp("2026-04-02")
    known = log.loc[log["date"] < began, "customer_id"].unique()
    spent = log[log["date"] >= began].groupby("customer_id")["value"].sum().reindex(known, fill_value=0.0)
    assert (found["customers"], found["mean"]) == (len(known), pytest.approx(spent.mean()))
    assert found["spread"] == pytest.approx(spent.std(ddof=0))


def test_segments_are_text_with_few_levels(assigned):
    customers = pd.DataFrame(
        {"customer_id": ["u1", "u2", "u4"], "region": ["n", "s", "n"], "name": ["x", "x", "x"], "age": [1, 2, 3]}
    )
    rows, known = counts.add_segments(assigned, ibis.memtable(customers))
    assert known == ["region"] and rows.to_pandas()["region"].tolist().count("n") == 4
