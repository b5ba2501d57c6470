"""The demo company's tables, in the column names of its own systems."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cvmlib.tables.demo.company import Covariates, ShopUnit
from cvmlib.tables.demo.customers import People
from cvmlib.tables.demo.dirt import EMPTY_ID, NULL_ID
from cvmlib.tables.demo.orders import Rows
from cvmlib.tables.demo.products import Catalogue
from cvmlib.tables.demo.purchases import Buyers
from cvmlib.tables.demo.seasons import FUTURE_MONTHS, Calendar, add_days, add_months
from cvmlib.tables.demo.subscriptions import FutureFees, Subscriptions
from cvmlib.tables.demo.truth import Future


def recorded_table(
    unit: ShopUnit, rows: Rows, ids: list[str], catalogue: Catalogue | None, calendar: Calendar, orders: int
) -> tuple[pa.Table, int]:
    """Build the transactions as recorded, and count their orders; order numbers follow time, from `orders` + 1."""
    number, count = _order_numbers(rows.order, orders)
    moment = calendar.start.astype("datetime64[us]") + rows.second * np.timedelta64(1_000_000, "us")
    customer = _customer_column(rows, ids)
    if catalogue is None:
        stores = [f"store {i:02d}" for i in range(1, unit.stores + 1)]
        columns = {
            "receipt": number,
            "loyalty_card": customer,
            "bought_at": moment,
            "basket_value": rows.cents / 100,
            "store": _decoded(rows.item, stores),
        }
        return pa.table(columns), count
    if unit.file.endswith(".csv"):
        moment = np.datetime_as_string(moment, unit="s")
    columns = {
        "order_id": number,
        "customer": customer,
        "ordered_at": moment,
        "product": _decoded(rows.item, catalogue.product),
        "quantity": rows.quantity,
        "unit_price": rows.cents / 100,
    }
    return pa.table(columns), count


def _order_numbers(keys: np.ndarray, before: int) -> tuple[np.ndarray, int]:
    """Give the orders numbers by first appearance, from `before` + 1, and count them."""
    unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(unique), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(1, len(unique) + 1)
    return before + rank[inverse], len(unique)


def _customer_column(rows: Rows, ids: list[str]) -> pa.Array:
    """Write customer ids with the faults of their recording: null, empty, blanks around."""
    size, padded = len(ids), np.flatnonzero(rows.padded)
    labels = [*ids, "", *(f" {ids[i]} " for i in rows.customer[padded])]
    code = np.where(rows.customer == EMPTY_ID, size, rows.customer)
    code[padded] = size + 1 + np.arange(len(padded))
    return _decoded(code, labels, missing=rows.customer == NULL_ID)


def _decoded(code: np.ndarray, labels: list[str], missing: np.ndarray | None = None) -> pa.Array:
    """Look up the texts of the codes, null where `missing`."""
    indices = pa.array(np.where(missing, 0, code) if missing is not None else code, type=pa.int32(), mask=missing)
    return pc.cast(pa.DictionaryArray.from_arrays(indices, pa.array(labels, type=pa.string())), pa.string())


def customer_table(
    covariates: Covariates, people: People, referrer: np.ndarray, ids: list[str], calendar: Calendar
) -> pa.Table:
    """Build the customers file: customer, joined_on, acquisition_channel and _cost, referred_by, age_group, region."""
    texts = {n: _decoded(people.levels[n], list(covariates[n])) for n in covariates}
    return pa.table(
        {
            "customer": ids,
            "joined_on": add_days(calendar.start, np.floor(people.joined)),
            "acquisition_channel": texts["acquisition_channel"],
            "acquisition_cost": people.cost,
            "referred_by": _decoded(referrer, ids, missing=referrer < 0),
            "age_group": texts["age_group"],
            "region": texts["region"],
        }
    )


def customer_truth(
    ids: list[str], buyers: Buyers, alive: np.ndarray, mean_spend: np.ndarray, future: Future
) -> pa.Table:
    """Build the true parameters and real future of each customer of a non-contractual unit."""
    return pa.table(
        {
            "customer": ids,
            "purchase_rate": buyers.rate,
            "dropout_probability": buyers.dropout,
            "alive": alive,
            "mean_spend": mean_spend,
            "future_purchases_12m": future.purchases,
            "future_value_12m_gross": future.gross,
            "future_value_12m_net": future.net,
            "future_value_12m_gross_discounted": future.gross_discounted,
            "future_value_12m_net_discounted": future.net_discounted,
        }
    )


def subscription_table(
    subscriptions: Subscriptions, people: People, plans: list[str], ids: list[str], calendar: Calendar
) -> pa.Table:
    """Build the subscriptions as known at the end of observation; the end and its reason are null while active."""
    ended = subscriptions.deactivated < calendar.first_future
    return pa.table(
        {
            "subscription_id": [f"S{i}" for i in ids],
            "customer": ids,
            "activated_on": subscriptions.activated,
            "deactivated_on": pa.array(subscriptions.deactivated, mask=~ended),
            "monthly_fee": subscriptions.fee,
            "plan": _decoded(people.levels["plan"], plans),
            "reason": _reasons(subscriptions, ended),
        }
    )


def subscriber_truth(subscriptions: Subscriptions, fees: FutureFees, ids: list[str], calendar: Calendar) -> pa.Table:
    """Build the true churn parameters and real future of each subscriber; null ends lie more than 36 months ahead."""
    known = subscriptions.deactivated < add_months(calendar.first_future, FUTURE_MONTHS)
    return pa.table(
        {
            "customer": ids,
            "theta": subscriptions.theta,
            "hazard_multiplier": subscriptions.multiplier,
            "alive": subscriptions.deactivated >= calendar.first_future,
            "true_deactivated_on": pa.array(subscriptions.deactivated, mask=~known),
            "true_reason": _reasons(subscriptions, known),
            "future_months_12m": fees.months,
            "future_value_12m": fees.value,
            "future_value_12m_discounted": fees.value_discounted,
        }
    )


def _reasons(subscriptions: Subscriptions, ended: np.ndarray) -> pa.Array:
    """Tell why a subscription ended, null where it has not."""
    return _decoded(np.where(subscriptions.voluntary, 0, 1), ["voluntary", "involuntary"], missing=~ended)
