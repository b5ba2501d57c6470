"""Write survival_metrics.json: scores of survival forecasts by scikit-survival, lifelines and empulse.

Run ``.venv-peers/bin/python tests/churn/references/make_survival_metrics.py`` after ``make bench-env``. Times are whole
months with many ties, as in a life table; the forecasts tie as well. The same customers are used to estimate censoring.
"""

import json
from pathlib import Path

import numpy as np
from empulse.metrics import empc_score
from lifelines import KaplanMeierFitter
from sksurv.metrics import brier_score, cumulative_dynamic_auc, integrated_brier_score
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator

PLACE = Path(__file__).with_name("survival_metrics.json")
CUSTOMERS, SEED = 400, 11
HORIZONS = [1.0, 3.0, 6.0, 9.0, 12.0]


def make_customers():
    """Draw customers of three plans: months until they left or were last seen, cause, and a coarse forecast."""
    rng = np.random.default_rng(SEED)
    plan = rng.integers(0, 3, CUSTOMERS)
    hazard = np.array([0.03, 0.06, 0.12])[plan] * rng.choice([0.5, 1.0, 1.5], CUSTOMERS)
    leaves, seen = rng.geometric(hazard), rng.integers(1, 20, CUSTOMERS)
    fails = rng.geometric(0.02, CUSTOMERS)
    time = np.minimum(np.minimum(leaves, fails), seen)
    cause = np.where(np.minimum(leaves, fails) <= seen, np.where(leaves <= fails, 1, 2), 0)
    forecast = np.round(np.clip(hazard * rng.choice([0.7, 1.0, 1.3], CUSTOMERS), 0.01, 0.5), 2)
    return plan, time, cause, forecast


def main():
    plan, time, cause, forecast = make_customers()
    event = cause > 0
    outcome = np.array(list(zip(event, time.astype(float), strict=True)), dtype=[("event", bool), ("time", float)])
    horizons = np.array(HORIZONS)
    survival = (1 - forecast[:, None]) ** horizons
    auc, mean = cumulative_dynamic_auc(outcome, outcome, forecast, horizons)
    _, brier = brier_score(outcome, outcome, survival, horizons)
    by_plan = [KaplanMeierFitter().fit(time[plan == g], event[plan == g]) for g in range(3)]
    months, incidence = cumulative_incidence_competing_risks(cause, time)
    churned = (event & (time <= 12))[(time > 12) | event].astype(int)
    risk = (1 - survival[:, -1])[(time > 12) | event]
    PLACE.write_text(
        json.dumps(
            {
                "plan": plan.tolist(),
                "time": time.tolist(),
                "cause": cause.tolist(),
                "forecast": forecast.tolist(),
                "horizons": HORIZONS,
                "auc": auc.tolist(),
                "mean_auc": float(mean),
                "brier": brier.tolist(),
                "integrated_brier": float(integrated_brier_score(outcome, outcome, survival, horizons)),
                "censoring": [values.tolist() for values in kaplan_meier_estimator(event, time, reverse=True)],
                "observed_risk": [[1 - float(km.predict(h)) for h in HORIZONS] for km in by_plan],
                "incidence_months": months.tolist(),
                "incidence": incidence.tolist(),
                "empc": {
                    "churned": churned.tolist(),
                    "risk": risk.tolist(),
                    "settings": {"alpha": 6, "beta": 14, "clv": 200, "incentive_cost": 10, "contact_cost": 1},
                    "value": float(
                        empc_score(churned, risk, alpha=6, beta=14, clv=200, incentive_cost=10, contact_cost=1)
                    ),
                },
            },
            indent=None,
        )
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
