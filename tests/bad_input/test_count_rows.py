"""Count rows brought by hand: what no customer can have is refused in words, and what is merely unusual is not."""

import numpy as np
import pandas as pd
import pytest

from cvmlib import inference
from cvmlib.clv import purchase_model, spend_model
from cvmlib.clv.count_checks import check_rows
from cvmlib.errors import DataError, UnfitModelError

GOOD = {"unit": "shop", "frequency": 2, "recency": 10.0, "T": 30.0, "monetary_value": 20.0, "customers": 3}
SAMPLING = inference.Sampling(10, 10, 1, 1)
MISTAKES = [
    ({"recency": 40.0}, "above T (first: unit shop, frequency 2, recency 40.0, T 30.0", "both in one unit of time"),
    ({"T": -1.0, "recency": -2.0}, "a T that is missing or below 0", "leave out customers won after it"),
    ({"T": np.nan}, "a T that is missing or below 0", "end of the observation"),
    ({"frequency": 0}, "a recency above 0 without a repeat purchase", "so recency is 0"),
    ({"recency": 0.0}, "repeat purchases but a recency of 0", "count the periods, not the rows of the log"),
    ({"frequency": 1.5}, "not a whole number of at least 0", "counts repeat purchases"),
    ({"frequency": -1}, "not a whole number of at least 0", "less the first"),
    ({"customers": 0}, "no customers", "leave out rows of nobody"),
    ({"monetary_value": -5.0}, "a monetary_value that is missing or below 0", "net returns"),
    ({"monetary_value": np.nan}, "a monetary_value that is missing or below 0", "mean value of the repeat purchases"),
]


def rows_with(change: dict) -> pd.DataFrame:
    return pd.DataFrame([GOOD, GOOD | change, GOOD])


@pytest.mark.parametrize(("change", "found", "remedy"), MISTAKES)
def test_each_mistake_is_told_with_its_row_and_remedy(change, found, remedy):
    with pytest.raises(DataError) as caught:
        check_rows(rows_with(change), spend=True)
    message = str(caught.value)
    assert message.startswith("Count rows that no customer can have:")
    assert "1 row has" in message and found in message and remedy in message


def test_all_mistakes_at_once_and_only_the_first_rows():
    bad = pd.concat([rows_with({"recency": 40.0 + i}) for i in range(5)] + [rows_with({"frequency": -3})])
    with pytest.raises(DataError) as caught:
        check_rows(bad)
    message = str(caught.value)
    assert "5 rows have" in message and "recency 42.0" in message and "recency 43.0" not in message
    assert "frequency -3" in message


def test_new_customers_are_kept():
    check_rows(pd.DataFrame([GOOD | {"frequency": 0, "recency": 0.0, "T": 0.0, "monetary_value": 0.0}]), spend=True)


def test_the_models_check_what_they_are_given():
    with pytest.raises(DataError, match="above T"):
        purchase_model.fit(rows_with({"recency": 40.0}), SAMPLING)
    with pytest.raises(DataError, match="monetary_value"):
        spend_model.fit(rows_with({"monetary_value": -5.0}), SAMPLING)
    with pytest.raises(UnfitModelError, match="No customer of shop bought more than once"):
        purchase_model.fit(pd.DataFrame([GOOD | {"frequency": 0, "recency": 0.0}]), SAMPLING)
