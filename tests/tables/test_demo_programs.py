"""The demo company's programs: laid over what customers did, with a truth that an ideal analyst would find."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cvmlib.tables.contracts import CONTRACTS
from cvmlib.tables.demo import simulate
from cvmlib.tables.demo.campaigns import CAMPAIGNS
from cvmlib.tables.demo.programs import EDGE, tilt_chances


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    simulate(folder, scale=0.3, seed=3)
    return folder


def truth_of(folder: Path, unit: str) -> dict:
    return json.loads((folder / "truth" / unit / "programs.json").read_text(encoding="utf-8"))


def test_every_challenge_outcome_and_case_occurs():
    campaigns = [campaign for unit in CAMPAIGNS.values() for campaign in unit]
    allowed = CONTRACTS["programs"].column_by_name
    assert {c.challenge for c in campaigns} == set(allowed["challenge"].allowed)
    assert {c.outcome for c in campaigns} == set(allowed["intended_outcome"].allowed)
    assert {c.design for c in campaigns} == {"drawn", "chosen", "all", "unrecorded", "regions"}
    assert {c.fault for c in campaigns} == {"", "lost", "lucky"}
    assert {kind for c in campaigns for kind in c.kinds} == set(CONTRACTS["activity"].column_by_name["kind"].allowed)
    assert any(c.design == "drawn" and not c.lift and not c.fault for c in campaigns)


@pytest.mark.parametrize(("share", "lift"), [(0.5, 0.1), (0.8, 0.15), (0.9, -0.05), (0.3, 0.2)])
def test_chances_make_the_lift_and_leave_the_past_alone(share, lift):
    rng = np.random.default_rng(1)
    before = np.where(rng.random(30_000) < 0.5, rng.gamma(1.0, 40, 30_000), 0.0)
    after = np.where(rng.random(30_000) < 0.4, rng.gamma(1.0, 40, 30_000) + 0.5 * before, 0.0)
    chance = tilt_chances(after, before, share, lift)
    assert chance.mean() == pytest.approx(share, abs=1e-3)
    assert EDGE <= chance.min() and chance.max() <= 1 - EDGE
    treated, control = (np.average(after, weights=w) for w in (chance, 1 - chance))
    assert treated / control - 1 == pytest.approx(lift, abs=0.01)
    past = np.average(before, weights=chance) - np.average(before, weights=1 - chance)
    assert abs(past) < 0.01 * before.mean()
    assert abs(chance[before == 0].mean() - share) < 1e-3


def test_arms_bear_out_the_truth(folder):
    """The difference between the arms, from the raw files, lies about the truth with its standard error."""
    log = pd.read_parquet(folder / "fashion" / "transactions.parquet").drop_duplicates()
    log = log.assign(customer=log["customer"].str.strip(), value=log["quantity"] * log["unit_price"])
    assignments = pd.read_parquet(folder / "fashion" / "assignments.parquet")
    truth, scores = truth_of(folder, "fashion"), []
    for program, rows in assignments.groupby("program"):
        if truth[program]["lift"] is None or truth[program]["fault"]:
            continue
        began = pd.Timestamp(rows["drawn_on"].iloc[0])
        inside = log[(log["ordered_at"] >= began) & (log["ordered_at"] < began + pd.Timedelta(days=90))]
        spent = rows["customer"].map(inside.groupby("customer")["value"].sum()).fillna(0.0)
        arms = [spent[rows["group"] == name] for name in ("test", "holdout")]
        error = np.sqrt(sum(arm.var() / len(arm) for arm in arms))
        scores.append((arms[0].mean() - arms[1].mean() - truth[program]["per_customer"]) / error)
    assert len(scores) == 4 and np.abs(scores).max() < 3.5


def test_lucky_start_looks_good_and_is_nothing(folder):
    found = truth_of(folder, "fashion")["flash"]
    assert found["fault"] == "lucky" and found["lift"] == 0.0 and found["incremental"] == 0.0


def test_broken_program_lost_treated_customers(folder):
    rows = pd.read_parquet(folder / "fashion" / "assignments.parquet")
    share = (rows.loc[rows["program"] == "app", "group"] == "test").mean()
    planned = pd.read_parquet(folder / "fashion" / "programs.parquet").set_index("program").loc["app", "planned_share"]
    assert planned == 0.5 and share < 0.47


def test_stores_carry_their_program(folder):
    sales = pd.read_parquet(folder / "grocery" / "store_sales.parquet")
    truth = truth_of(folder, "grocery")["posters"]
    assert truth["lift"] > 0 and sales["store"].nunique() == 12
    assert sales["week"].dt.day_of_week.eq(0).all() and sales["week"].max() < pd.Timestamp("2026-06-25")
    stores = pd.read_parquet(folder / "grocery" / "assignments.parquet")
    stores = stores[stores["program"] == "posters"]
    assert set(stores["customer"]) == set(sales["store"]) and (stores["group"] == "test").sum() == 2


def test_the_program_that_varied_a_channel_agrees_with_the_truth_of_the_channel(folder):
    """The catalogue is the print of media: neither has any effect, and its cost is part of the spend on print."""
    programs = pd.read_parquet(folder / "fashion" / "programs.parquet").set_index("program")
    assert programs["paid_channel"].dropna().to_dict() == {"catalogue": "print", "influencers": "social"}
    media = pd.read_parquet(folder / "fashion" / "media.parquet")
    assert set(programs["paid_channel"].dropna()) <= set(media["channel"])
    market = json.loads((folder / "truth" / "fashion" / "media.json").read_text(encoding="utf-8"))
    assert market["channels"]["print"]["return"] == 0.0 == truth_of(folder, "fashion")["catalogue"]["lift"]
    row = programs.loc["catalogue"]
    inside = media["week"].between(pd.Timestamp(row["started_on"]), pd.Timestamp(row["ended_on"]))
    assert 0 < row["cost"] < media.loc[inside & (media["channel"] == "print"), "spend"].sum()


def test_programs_leave_every_other_file_as_it_was(folder, tmp_path, monkeypatch):
    """Tables and truth of the units are the same bytes with and without programs."""
    from cvmlib.tables.demo import write

    monkeypatch.setattr(write, "program_files", lambda *_: iter(()))
    simulate(tmp_path, scale=0.3, seed=3)
    files = [
        path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file() and path.name != "manifest.json"
    ]
    assert len(files) >= 15
    for path in files:
        plain, whole = (hashlib.sha256((place / path).read_bytes()).digest() for place in (tmp_path, folder))
        assert plain == whole, path


def test_tiny_company_has_programs_too(tmp_path):
    simulate(tmp_path, scale=0.002)
    assert len(pd.read_parquet(tmp_path / "fashion" / "programs.parquet")) == len(CAMPAIGNS["fashion"])
