"""The families of purchase models there are."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from cvmlib.clv.families import (
    bg_bb,
    bg_bb_forecast,
    bg_bb_kernel,
    bg_cnbd,
    bg_cnbd_forecast,
    bg_cnbd_kernel,
    bg_nbd,
    nbd,
    pareto_nbd,
    pareto_nbd_forecast,
    pareto_nbd_kernel,
)
from cvmlib.clv.families.family import Family, Parameter
from cvmlib.clv.pooling import Prior

#: A NumPy array or a PyTensor variable.
type Value = Any

# Units of one pool are taken to differ more in how often their customers buy than in how alike those customers are.
_RATE = Parameter(
    "rate",
    "log",
    Prior("log_rate", 0.0, 2.0, 0.5),
    "purchases a day while alive",
    per_time=True,
    effect="purchase rate ratio",
)
_SHAPE = Parameter("shape", "log", Prior("log_shape", -0.5, 1.0, 0.2), "shape r of the rates")
_DROPOUT = Parameter(
    "dropout",
    "logit",
    Prior("logit_dropout", -1.5, 1.5, 0.3),
    "mean dropout probability",
    effect="dropout odds ratio",
)
_CONCENTRATION = Parameter(
    "concentration", "log", Prior("log_concentration", 1.0, 1.0, 0.2, centring=0.5), "concentration of dropout"
)
_PURCHASE = Parameter(
    "purchase",
    "logit",
    Prior("logit_purchase", -0.5, 2.0, 0.5),
    "mean probability of a purchase",
    effect="purchase odds ratio",
)
_PURCHASE_CONCENTRATION = Parameter(
    "purchase_concentration",
    "log",
    Prior("log_purchase_concentration", 1.0, 1.0, 0.2, centring=0.5),
    "concentration of purchase probabilities",
)
#: Opportunities may be as short as weeks, so a customer may leave at any of them with a small probability.
_LEAVING = Parameter(
    "dropout",
    "logit",
    Prior("logit_dropout", -2.0, 2.0, 0.3),
    "mean dropout probability",
    effect="dropout odds ratio",
)
_DROPOUT_RATE = Parameter(
    "dropout_rate",
    "log",
    Prior("log_dropout_rate", -0.5, 1.5, 0.5),
    "mean dropouts a day",
    per_time=True,
    effect="dropout rate ratio",
)
#: How alike customers are in dropout is little told by a unit's own data where few leave, hence half centred.
_DROPOUT_SHAPE = Parameter(
    "dropout_shape", "log", Prior("log_dropout_shape", 0.0, 1.0, 0.2, centring=0.5), "shape s of the dropout rates"
)


def _publish_bg(rate: Value, shape: Value, dropout: Value, concentration: Value) -> tuple[Value, ...]:
    return shape, shape / rate, dropout * concentration, (1 - dropout) * concentration


def _publish_cnbd(rate: Value, shape: Value, dropout: Value, concentration: Value, k: Value) -> tuple[Value, ...]:
    return *_publish_bg(rate * k, shape, dropout, concentration), k


def _publish_bb(purchase: Value, concentration: Value, dropout: Value, of_dropout: Value) -> tuple[Value, ...]:
    return (
        purchase * concentration,
        (1 - purchase) * concentration,
        dropout * of_dropout,
        (1 - dropout) * of_dropout,
    )


def _publish_pareto(rate: Value, shape: Value, dropout_rate: Value, dropout_shape: Value) -> tuple[Value, ...]:
    return shape, shape / rate, dropout_shape, dropout_shape / dropout_rate


def _publish_nbd(rate: Value, shape: Value) -> tuple[Value, ...]:
    return shape, shape / rate


def _with_one_stage(function: Callable[..., Any], before: int = 1) -> Callable[..., Any]:
    """Return a function of BG/CNBD-k, over draws, as one of the case k = 1, which is BG/NBD.

    Its counts and published parameters stand behind `before` other arguments, the first of which is one for each draw.
    """

    def call(*values: Value, modified: bool) -> Value:
        known, further = values[: before + 7], values[before + 7 :]
        return function(*known, np.ones(len(known[0]), dtype=np.int64), *further, modified=modified)

    return call


def _sum_up(forecast: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """Return the sums of a forecast of which each window is held."""

    def call(edges: Value, of_purchases: Value, of_alive: Value, *rest: Value) -> Value:
        purchases, alive = forecast(edges, *rest)
        return np.tensordot(of_purchases, purchases, 1) + np.tensordot(of_alive, alive, 1)

    return call


def _family(
    name: str,
    title: str,
    parameters: tuple[Parameter, ...],
    published: Callable[..., tuple[Value, ...]],
    modules: tuple[ModuleType, ModuleType, ModuleType],
    constant: str = "",
    **options: bool,
) -> Family:
    """Put a family together from its modules: of one customer, of the count table, of the future."""
    model, kernel, future = modules
    sums = future.forecast_sums if future is bg_cnbd_forecast else _sum_up(future.forecast)
    bound = partial if options else (lambda function: function)
    wrap = _with_one_stage if model is bg_nbd else (lambda function, before=1: function)
    return Family(
        name=name,
        title=title,
        symbols=model.PARAMETERS,
        parameters=parameters,
        published=published,
        lay_out=kernel.lay_out,
        density=bound(kernel.log_likelihood_of, **options),
        log_likelihood=bound(model.log_likelihood, **options),
        probability_alive=bound(model.probability_alive, **options),
        forecast=bound(wrap(future.forecast), **options),
        forecast_sums=bound(wrap(sums, before=3), **options),
        simulate_future=bound(wrap(future.simulate_future), **options),
        simulate_customers=bound(model.simulate_customers, **options),
        expected_since_start=bound(model.expected_since_start, **options),
        constant=constant,
    )


_BG = (_RATE, _SHAPE, _DROPOUT, _CONCENTRATION)
_RANDOM = (bg_nbd, bg_cnbd_kernel, bg_cnbd_forecast)
#: Purchases by rhythm: gaps of k stages each; k is the constant of a unit.
_REGULAR = (bg_cnbd, bg_cnbd_kernel, bg_cnbd_forecast)

BG_NBD = _family("bg_nbd", "BG/NBD", _BG, _publish_bg, _RANDOM, modified=False)
MBG_NBD = _family("mbg_nbd", "MBG/NBD", _BG, _publish_bg, _RANDOM, modified=True)
BG_CNBD = _family("bg_cnbd", "BG/CNBD-k", _BG, _publish_cnbd, _REGULAR, "k", modified=False)
MBG_CNBD = _family("mbg_cnbd", "MBG/CNBD-k", _BG, _publish_cnbd, _REGULAR, "k", modified=True)
PARETO_NBD = _family(
    "pareto_nbd",
    "Pareto/NBD",
    (_RATE, _SHAPE, _DROPOUT_RATE, _DROPOUT_SHAPE),
    _publish_pareto,
    (pareto_nbd, pareto_nbd_kernel, pareto_nbd_forecast),
)
BG_BB = _family(
    "bg_bb",
    "BG/BB",
    (_PURCHASE, _PURCHASE_CONCENTRATION, _LEAVING, _CONCENTRATION),
    _publish_bb,
    (bg_bb, bg_bb_kernel, bg_bb_forecast),
)
NBD = _family("nbd", "NBD", (_RATE, _SHAPE), _publish_nbd, (nbd, nbd, nbd))

#: All of them, by name.
FAMILIES = {family.name: family for family in (BG_NBD, MBG_NBD, BG_CNBD, MBG_CNBD, PARETO_NBD, BG_BB, NBD)}
