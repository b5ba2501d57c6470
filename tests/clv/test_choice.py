"""The choice of a purchase model per unit, on customers simulated from each."""

import numpy as np
import pandas as pd
import pytest

from cvmlib import inference
from cvmlib.clv import choice
from cvmlib.clv.choice import Choice, choose_families, join_choices, print_name
from cvmlib.clv.families import bg_cnbd
from cvmlib.clv.families.registry import BG_CNBD, BG_NBD, MBG_CNBD, MBG_NBD, PARETO_NBD
from cvmlib.clv.purchase_model import Draws

ALL = ["bg_nbd", "mbg_nbd", "pareto_nbd", "bg_cnbd", "mbg_cnbd"]
SAMPLING = inference.Sampling(200, 200, 2, 1)


def simulate(unit: str, n: int, k: int, *, modified: bool = False, seed: int = 1) -> tuple[pd.DataFrame, float]:
    """Count rows of a unit whose gaps have k stages, and the sum of its log gaps."""
    rng = np.random.default_rng([seed, k])
    T = rng.uniform(200, 700, n)
    x, t_x, log_gaps = bg_cnbd.simulate_gaps(T, 0.9, 60.0 / k, 0.9, 2.2, k, rng, modified=modified)
    frame = pd.DataFrame({"unit": unit, "frequency": x, "recency": t_x, "T": T, "customers": 1})
    return frame, float(np.sum(log_gaps))


@pytest.fixture(scope="module")
def chosen() -> Choice:
    rows, gaps = {}, {}
    for unit, k in (("shop", 1), ("grocer", 3)):
        rows[unit], gaps[unit] = simulate(unit, 2500, k, modified=True)
    return choose_families(rows, gaps, ALL, SAMPLING)


def test_the_model_that_made_the_customers_is_chosen(chosen):
    assert chosen.stages == {"shop": 1, "grocer": 3}
    assert {unit: chosen.title(unit) for unit in chosen.families} == {"shop": "MBG/NBD", "grocer": "MBG/CNBD-3"}
    assert chosen.families["shop"] is MBG_CNBD  # one fit for both units, of the form that knows k
    assert chosen.reasons["grocer"].startswith("Customers buy by a rhythm: with gaps of 3 stages")
    assert "rhythm" not in chosen.reasons["shop"] and chosen.reasons["shop"].startswith("MBG/NBD predicts customers")


def test_the_table_ranks_every_model_of_every_unit(chosen):
    table = chosen.table
    assert set(table.loc[table["unit"] == "shop", "model"]) == {"BG/NBD", "MBG/NBD", "Pareto/NBD"}
    assert set(table.loc[table["unit"] == "grocer", "model"]) == {"BG/CNBD-3", "MBG/CNBD-3", "Pareto/NBD"}
    assert table.groupby("unit")["chosen"].sum().tolist() == [1, 1]
    parameters = table.set_index(["unit", "model"])["parameters"]
    assert parameters["shop", "MBG/NBD"] == 4 and parameters["grocer", "MBG/CNBD-3"] == 5
    assert (table["bad_k"] < 0.01).all()
    worst = table[(table["unit"] == "grocer") & (table["model"] == "Pareto/NBD")].iloc[0]
    assert worst["difference"] < -100  # random timing, with the gap terms of the others counted in


def test_the_unit_of_time_does_not_matter(chosen):
    rows, gaps = simulate("grocer", 2500, 3, modified=True)
    weeks = rows.assign(recency=rows["recency"] / 7, T=rows["T"] / 7)
    found = choose_families({"grocer": weeks}, {"grocer": gaps - rows["frequency"].sum() * np.log(7)}, ALL, SAMPLING)
    before = chosen.table[chosen.table["unit"] == "grocer"].set_index("model")["difference"]
    after = found.table.set_index("model")["difference"]
    assert after.to_numpy() == pytest.approx(before[after.index].to_numpy(), abs=0.5)


def test_a_quick_fit_is_that_of_its_own_posterior():
    """Mean and spread of four parameters against a long run of the same model."""
    rows, _ = simulate("shop", 1500, 1)
    fit = choice._fit({"shop": rows}, rows, BG_NBD, {}, SAMPLING, None)
    model, scale = choice.build_alone(rows, BG_NBD)
    trace = inference.sample(model, inference.Sampling(1500, 500, 2, 3))["posterior"]
    rate = np.exp(trace["log_rate"].to_numpy().ravel()) / scale
    quick = fit.trace["posterior"]["rate"].to_numpy().ravel()
    assert quick.mean() == pytest.approx(rate.mean(), abs=4 * rate.std() / 20)
    assert quick.std() == pytest.approx(rate.std(), rel=0.2)
    assert isinstance(fit.draws("shop"), Draws)


def test_what_cannot_be_trusted_is_sampled(monkeypatch):
    rows, gaps = simulate("shop", 400, 1)
    monkeypatch.setattr(choice.quick.Trust, "light", False)
    seen = []
    monkeypatch.setattr(choice.purchase_model, "fit", lambda *a: seen.append(a) or pytest.skip("sampled"))
    with pytest.raises(pytest.skip.Exception):
        choose_families({"shop": rows}, {"shop": gaps}, ["bg_nbd", "mbg_nbd"], SAMPLING)
    assert seen[0][3] is BG_NBD


def test_only_what_is_allowed_is_considered():
    rows, gaps = simulate("grocer", 300, 3)
    alone = choose_families({"grocer": rows}, {"grocer": gaps}, ["pareto_nbd"], SAMPLING)
    assert alone.families["grocer"] is PARETO_NBD and alone.stages["grocer"] == 1 and alone.table.empty
    regular = choose_families({"grocer": rows}, {"grocer": gaps}, ["bg_cnbd"], SAMPLING)
    assert regular.title("grocer") == "BG/CNBD-3" and "rhythm" in regular.reasons["grocer"]
    random = choose_families({"grocer": rows}, {"grocer": gaps}, ["mbg_nbd"], SAMPLING)
    assert random.families["grocer"] is MBG_NBD and random.reasons == {}


def test_hardly_any_repeat_purchases_have_no_rhythm():
    rows = pd.DataFrame({"unit": "shop", "frequency": [0, 1], "recency": [0.0, 9.0], "T": 40.0, "customers": [90, 2]})
    found = choose_families({"shop": rows}, {"shop": 2 * np.log(9.0)}, ["bg_cnbd"], SAMPLING)
    assert found.stages == {"shop": 1} and found.title("shop") == "BG/NBD"


def test_choices_are_joined_in_the_order_of_the_units():
    one = Choice({"a": BG_NBD, "b": BG_NBD}, {"a": 1, "b": 1}, {"a": "so"}, pd.DataFrame({"unit": ["a", "b"]}))
    two = Choice({"c": BG_CNBD}, {"c": 2})
    joined = join_choices([one, two], ["a", "c"])
    assert joined.families == {"a": BG_NBD, "c": BG_CNBD} and joined.reasons == {"a": "so"}
    assert joined.title("c") == "BG/CNBD-2" == print_name(BG_CNBD, 2) and print_name(MBG_CNBD, 1) == "MBG/NBD"


def test_a_small_unit_follows_its_pool_unless_it_knows_better():
    both = {"bg_nbd": BG_NBD, "mbg_nbd": MBG_NBD}
    table = pd.DataFrame(
        {
            "unit": ["large", "large", "small", "small"],
            "model": ["bg_nbd", "mbg_nbd", "mbg_nbd", "bg_nbd"],
            "elpd": [-900.0, -930.0, -40.0, -40.4],
            "difference": [0.0, -30.0, 0.0, -0.4],
            "difference_se": [0.0, 7.0, 0.0, 0.6],
            "bad_k": 0.0,
        }
    )
    stages = {"large": 1, "small": 1}
    pooled = choice._conclude(table, both, stages, {}, {"large": "shops", "small": "shops"})
    assert {pooled.title(unit) for unit in stages} == {"BG/NBD"}
    assert "which is preferred where the evidence is close" in pooled.reasons["small"]
    apart = choice._conclude(table, dict(reversed(both.items())), stages, {}, {"large": "a", "small": "b"})
    assert apart.title("large") == "BG/NBD" and apart.title("small") == "MBG/NBD"
    clear = choice._conclude(table.assign(difference_se=[0, 7, 0, 0.1]), both, stages, {}, {})
    assert clear.title("small") == "MBG/NBD"
