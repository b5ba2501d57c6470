"""The saved posterior values customers as the study did, and later on as the calendar goes on."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.live import load_live, value_rows


@pytest.mark.parametrize("unit", ["fashion", "grocery"])
def test_saved_posterior_gives_the_values_of_the_study(company, unit):
    saved = pd.read_parquet(company.bases[unit].folder / "value.parquet").head(60)
    found = value_rows(load_live(company.portfolio, unit), saved)
    names = {"p_alive": "p_alive", "purchases": "expected_purchases", "spend": "expected_spend", "value": "value"}
    for mine, theirs in names.items():
        np.testing.assert_allclose(found[mine], saved[theirs], rtol=1e-9)


def test_silence_lowers_the_chance_to_be_alive(company):
    live = load_live(company.portfolio, "fashion")
    saved = pd.read_parquet(company.bases["fashion"].folder / "value.parquet").query("frequency > 1").head(30)
    today = value_rows(live, saved)
    later = value_rows(live.on(live.now + pd.Timedelta(days=60)), saved.assign(T=saved["T"] + 60))
    assert (later["p_alive"] < today["p_alive"]).all()


def test_unknown_pattern_is_refused(company):
    live = load_live(company.portfolio, "fashion")
    rows = pd.DataFrame({"pattern": ["nowhere"], "frequency": 1, "recency": 3.0, "T": 9.0, "monetary_value": 5.0})
    with pytest.raises(ValueError, match="found pattern 'nowhere'; the posterior of fashion knows"):
        value_rows(live, rows)
