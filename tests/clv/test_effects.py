"""Effects of covariates on the purchase models: known ones recovered, exact likelihood, pooling, units of time."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import special

from cvmlib import inference
from cvmlib.clv import purchase_model
from cvmlib.clv.effects import count_levels, lay_out_effects
from cvmlib.clv.families.registry import BG_NBD, FAMILIES, PARETO_NBD
from tests.clv.worlds import World

CHANNELS = {"web": (0.5, 0.35, -0.3), "shop": (0.35, -0.3, 0.4), "fair": (0.15, -0.4, 0.1)}
AGES = {"old": (0.6, 0.15, 0.0), "young": (0.4, -0.2, 0.0)}
COVARIATES = {"large": ("channel", "age"), "small": ("channel",)}
SAMPLING = inference.Sampling(draws=500, tune=500, chains=2, seed=1)
KEYS = ["unit", "pattern", "frequency", "recency", "T"]


def simulate(unit: str, customers: int, seed: int, world: World | None = None, size: float = 1.0) -> pd.DataFrame:
    """Count rows of customers whose channel and age change rate and dropout; a unit without age has only channels."""
    rng, buying = np.random.default_rng(seed), world or World()
    ages = AGES if "age" in COVARIATES[unit] else {"": (1.0, 0.0, 0.0)}
    parts = []
    for channel, (share, on_rate, on_dropout) in CHANNELS.items():
        for age, (of_age, more, leaving) in ages.items():
            T = rng.integers(1, 900, round(customers * share * of_age)).astype(float)
            rate = buying.rate * np.exp(size * (on_rate + more))
            dropout = special.expit(special.logit(buying.dropout) + size * (on_dropout + leaving))
            published = BG_NBD.published(rate, buying.shape, dropout, buying.concentration)
            frequency, recency = BG_NBD.simulate_customers(T, *published, rng)
            pattern = f"{channel} · {age}" if age else channel
            counts = {"frequency": frequency, "recency": np.minimum(np.ceil(recency), T), "T": T}
            parts.append(pd.DataFrame(counts).assign(unit=unit, pattern=pattern))
    return pd.concat(parts).groupby(KEYS, as_index=False).size().rename(columns={"size": "customers"})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.concat([simulate("large", 4000, 1), simulate("small", 500, 2)], ignore_index=True)


@pytest.fixture(scope="module")
def fit(rows) -> purchase_model.PurchaseFit:
    return purchase_model.fit(rows, SAMPLING, covariates=COVARIATES)


def true_effects(levels: dict[str, tuple[float, float, float]], which: int) -> dict[str, float]:
    """Effects less their mean over the customers."""
    mean = sum(level[0] * level[which] for level in levels.values())
    return {name: level[which] - mean for name, level in levels.items()}


def test_recovers_known_effects(fit, rows):
    assert fit.diagnostics.r_hat < 1.02 and fit.diagnostics.divergences == 0
    inside = []
    for place, parameter in enumerate(("rate", "dropout"), start=1):
        drawn = fit.trace["posterior"]["effect"].sel(affected=parameter)
        truths = {("channel", k): v for k, v in true_effects(CHANNELS, place).items()}
        truths |= {("age", k): v for k, v in true_effects(AGES, place).items()}
        for (column, level), truth in truths.items():
            for unit in [unit for unit, columns in COVARIATES.items() if column in columns]:
                values = drawn.sel(level=f"{unit} · {column} · {level}").to_numpy()
                assert abs(values.mean() - truth) < 3.5 * values.std(), (parameter, unit, level)
                inside.append(np.quantile(values, 0.05) < truth < np.quantile(values, 0.95))
    assert sum(inside) >= 0.7 * len(inside)  # of 16, which are not independent; each with probability 0.9
    large = fit.trace["posterior"]["effect"].sel(level="large · channel · web", affected="rate")
    assert large.std() < 0.05 and large.mean() > 5 * large.std()


def test_effects_average_to_nothing_over_the_customers_of_a_unit(fit, rows):
    levels = count_levels(rows, COVARIATES)
    for (unit, column), mine in levels.groupby(["unit", "covariate"]):
        labels = [f"{unit} · {column} · {level}" for level in mine["level"]]
        mean = fit.trace["posterior"]["effect"].sel(level=labels).to_numpy() @ mine["customers"].to_numpy()
        assert np.abs(mean).max() < 1e-9 * mine["customers"].sum()


def test_draws_of_a_pattern_are_those_of_the_unit_and_its_levels(fit):
    posterior = fit.trace["posterior"]
    draws = fit.draws("large", 40, "shop · young")
    r, alpha, a, b = draws.values
    unit = {name: inference.thin(posterior[name].sel(unit="large"), 40) for name in BG_NBD.names}
    labels = ["large · channel · shop", "large · age · young"]
    added = {
        name: inference.thin(posterior["effect"].sel(affected=name, level=labels), 40).sum(axis=1)
        for name in ("rate", "dropout")
    }
    assert r / alpha == pytest.approx(unit["rate"] * np.exp(added["rate"]))
    assert special.logit(a / (a + b)) == pytest.approx(special.logit(unit["dropout"]) + added["dropout"])
    assert r == pytest.approx(unit["shape"]) and a + b == pytest.approx(unit["concentration"])
    assert fit.patterns["small"] == ("fair", "shop", "web") and len(fit.patterns["large"]) == 6
    by_pattern = fit.draws_by_pattern("small", 7)
    assert list(by_pattern) == ["fair", "shop", "web"] and all(len(one) == 7 for one in by_pattern.values())


@pytest.mark.parametrize("pattern", ["", "web", "web · ancient", "old · web"])
def test_a_pattern_that_was_not_fitted_is_refused(fit, pattern):
    with pytest.raises(ValueError, match=r"of unit large; expected a level of channel, age.*are: fair · old, "):
        fit.draws("large", 10, pattern)


def test_a_unit_without_covariates_has_no_pattern(pooled_purchases):
    assert pooled_purchases.patterns["large"] == ("",)
    ((pattern, draws),) = pooled_purchases.draws_by_pattern("large", 10).items()
    assert pattern == "" and (draws["r"] == pooled_purchases.draws("large", 10)["r"]).all()
    with pytest.raises(ValueError, match="'web' of unit large; expected a level of nothing.*it has no covariates"):
        pooled_purchases.draws("large", 10, "web")


def test_one_unit_with_and_one_without_covariates(rows):
    table = rows.assign(pattern=rows["pattern"].where(rows["unit"] == "large", ""))
    design = lay_out_effects(table, {"large": COVARIATES["large"]})
    assert design.patterns["small"] == ("",) and not design.of_group[-1].any()
    assert all(label.startswith("large · ") for label in design.levels.labels)
    with pytest.raises(ValueError, match="pattern 'fair' of unit small does not have one level"):
        lay_out_effects(rows, {"large": COVARIATES["large"]})


def likelihood_at(model: pm.Model, point: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
    outputs = model.replace_rvs_by_values([model["log_likelihood"], *(model[name] for name in names)])
    compiled = model.compile_fn(outputs, inputs=model.value_vars, on_unused_input="ignore", mode="FAST_COMPILE")
    return compiled(point)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_the_likelihood_of_its_groups(name):
    """Of two points, the log-likelihoods differ as those of single customers by their own parameters do."""
    family, rng = FAMILIES[name], np.random.default_rng(4)
    timed = family.parameters[0].per_time
    T = np.repeat([200.0, 500.0, 700.0] if timed else [3.0, 6.0, 12.0], 20)
    x = np.minimum(rng.integers(0, 9, 60), T).astype(int)
    recency = np.where(x > 0, np.maximum(x, np.floor(T * rng.uniform(0.3, 1.0, 60))), 0.0)
    table = pd.DataFrame({"unit": "shop", "frequency": x, "recency": recency, "T": T, "customers": 1})
    table["pattern"] = rng.choice(["web · old", "web · young", "shop · young"], 60)
    constants = {"shop": 2} if family.constant else None
    covariates = {"shop": ("channel", "age")}
    model, _ = purchase_model.build_model(table, None, family, constants, covariates)
    found, exact = [], []
    for _ in range(2):
        point = {key: value + rng.normal(0, 0.4, value.shape) for key, value in model.initial_point().items()}
        total, effect, *values = likelihood_at(model, point, ["effect", *family.names])
        affected, levels = list(model.coords["affected"]), list(model.coords["level"])
        at = []
        for parameter, value in zip(family.parameters, values, strict=True):
            each = np.full(60, value[0])
            if parameter.effect:
                row = effect[affected.index(parameter.name)]
                of_pattern = {
                    f"{channel} · {age}": row[levels.index(f"shop · channel · {channel}")]
                    + row[levels.index(f"shop · age · {age}")]
                    for channel in ("web", "shop")
                    for age in ("old", "young")
                }
                added = table["pattern"].map(of_pattern).to_numpy()
                each = each * np.exp(added) if parameter.link == "log" else special.expit(special.logit(each) + added)
            at.append(each)
        published = family.published(*at, *([np.full(60, 2)] if constants else []))
        found.append(float(total))
        exact.append(family.log_likelihood(x.astype(float), recency, T, *published).sum())
    assert found[1] - found[0] == pytest.approx(exact[1] - exact[0], rel=1e-9)
    assert abs(found[1] - found[0]) > 1.0


def test_without_effects_the_fit_is_the_plain_one(rows):
    with_effects, _ = purchase_model.build_model(rows, covariates=COVARIATES)
    plain_rows = rows.groupby([key for key in KEYS if key != "pattern"], as_index=False)["customers"].sum()
    plain, _ = purchase_model.build_model(plain_rows)
    point = plain.initial_point()
    nothing = {key: np.zeros_like(value) for key, value in with_effects.initial_point().items()} | point
    found, expected = (likelihood_at(m, at, [])[0] for m, at in ((with_effects, nothing), (plain, point)))
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_posterior_does_not_know_the_unit_of_time(rows):
    densities = []
    for factor in (1.0, 24.0, 1 / 7):
        scaled = rows.assign(recency=rows["recency"] * factor, T=rows["T"] * factor)
        model, _ = purchase_model.build_model(scaled, covariates=COVARIATES, family=PARETO_NBD)
        point = {name: value + 0.2 for name, value in model.initial_point().items()}
        densities.append(float(model.compile_logp(mode="FAST_COMPILE")(point)))
    assert densities[1:] == pytest.approx([densities[0]] * 2, rel=1e-12)


def test_units_of_a_pool_share_what_covariates_do(rows):
    """A priori the effects of two units of a pool go together, and those of units of two pools do not."""
    correlations = []
    for pools in (None, {"large": "a", "small": "b"}):
        model, _ = purchase_model.build_model(rows, pools, covariates=COVARIATES)
        effects = pm.draw(model["effect"], 2000, random_seed=1, mode="FAST_COMPILE")[:, 0]
        places = [list(model.coords["level"]).index(f"{unit} · channel · web") for unit in ("large", "small")]
        correlations.append(np.corrcoef(effects[:, places[0]], effects[:, places[1]])[0, 1])
        assert effects.mean(axis=0) == pytest.approx(0.0, abs=0.06)
    assert correlations[0] > 0.6 and abs(correlations[1]) < 0.1


def test_the_table_of_effects(fit, rows):
    table = purchase_model.tabulate_effects(fit, rows)
    assert len(table) == 2 * (5 + 3 + 3) and table["pooled"].sum() == 2 * 3
    units = table[~table["pooled"]].set_index(["unit", "covariate", "level", "parameter"])
    web = units.loc[("large", "channel", "web", "rate")]
    drawn = np.exp(fit.trace["posterior"]["effect"].sel(affected="rate", level="large · channel · web").to_numpy())
    assert (web["ratio"], web["low"], web["high"]) == pytest.approx(tuple(np.quantile(drawn, [0.5, 0.05, 0.95])))
    assert web["customers"] == 2000 and web["measure"] == "purchase rate ratio"
    assert units.loc[("large", "age", "old", "dropout"), "measure"] == "dropout odds ratio"
    pooled = table[table["pooled"]].set_index(["level", "parameter"])
    assert set(pooled["unit"]) == {"(all)"} and pooled.loc[("web", "rate"), "customers"] == 2250
    assert (table["low"] < table["ratio"]).all() and (table["ratio"] < table["high"]).all()


def test_a_covariate_of_one_level_among_the_counted_is_no_effect(rows):
    one = rows[(rows["unit"] == "small") & (rows["pattern"] == "web")]
    fit = purchase_model.fit(one, inference.Sampling(50, 50, 1), covariates=COVARIATES)
    unit, pattern = fit.draws("small", 5, "web"), fit.trace["posterior"]["rate"].sel(unit="small")
    assert unit["r"] / unit["alpha"] == pytest.approx(inference.thin(pattern, 5))
    assert (purchase_model.tabulate_effects(fit, one)["ratio"] == 1.0).all()
