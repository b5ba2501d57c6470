"""The families of purchase models there are."""

from functools import partial

from cvmlib.clv import (
    bg_bb,
    bg_bb_forecast,
    bg_bb_kernel,
    bg_cnbd,
    bg_cnbd_forecast,
    bg_cnbd_kernel,
    bg_nbd,
    bg_nbd_forecast,
    nbd,
    pareto_nbd,
    pareto_nbd_forecast,
    pareto_nbd_kernel,
)
from cvmlib.clv.family import Family, Parameter
from cvmlib.clv.pooling import Prior

# Units of one pool are taken to differ more in how often their customers buy than in how alike those customers are.
_RATE = Parameter("rate", "log", Prior("log_rate", 0.0, 2.0, 0.5), "purchases a day while alive", per_time=True)
_SHAPE = Parameter("shape", "log", Prior("log_shape", -0.5, 1.0, 0.2), "shape r of the rates")
_DROPOUT = Parameter("dropout", "logit", Prior("logit_dropout", -1.5, 1.5, 0.3), "mean dropout probability")
_CONCENTRATION = Parameter(
    "concentration", "log", Prior("log_concentration", 1.0, 1.0, 0.2, centring=0.5), "concentration of dropout"
)


def _published_bg(rate, shape, dropout, concentration):  # noqa: ANN001, ANN202 - arrays or variables
    return shape, shape / rate, dropout * concentration, (1 - dropout) * concentration


BG_NBD = Family(
    name="bg_nbd",
    title="BG/NBD",
    symbols=bg_nbd.PARAMETERS,
    parameters=(_RATE, _SHAPE, _DROPOUT, _CONCENTRATION),
    published=_published_bg,
    lay_out=bg_cnbd_kernel.lay_out,
    density=bg_cnbd_kernel.log_likelihood_of,
    log_likelihood=bg_nbd.log_likelihood,
    probability_alive=bg_nbd.probability_alive,
    forecast=bg_nbd_forecast.forecast,
    simulate_future=bg_nbd_forecast.simulate_future,
    simulate_customers=bg_nbd.simulate_customers,
    expected_since_start=bg_nbd.expected_since_start,
)

MBG_NBD = Family(
    name="mbg_nbd",
    title="MBG/NBD",
    symbols=bg_nbd.PARAMETERS,
    parameters=(_RATE, _SHAPE, _DROPOUT, _CONCENTRATION),
    published=_published_bg,
    lay_out=bg_cnbd_kernel.lay_out,
    density=partial(bg_cnbd_kernel.log_likelihood_of, modified=True),
    log_likelihood=partial(bg_nbd.log_likelihood, modified=True),
    probability_alive=partial(bg_nbd.probability_alive, modified=True),
    forecast=partial(bg_nbd_forecast.forecast, modified=True),
    simulate_future=partial(bg_nbd_forecast.simulate_future, modified=True),
    simulate_customers=partial(bg_nbd.simulate_customers, modified=True),
    expected_since_start=partial(bg_nbd.expected_since_start, modified=True),
)


def _published_cnbd(rate, shape, dropout, concentration, k):  # noqa: ANN001, ANN202 - arrays or variables
    return shape, shape / (rate * k), dropout * concentration, (1 - dropout) * concentration, k


def _regular(name: str, title: str, modified: bool) -> Family:
    """Purchases by rhythm: gaps of k stages each; k is the constant of a unit."""
    return Family(
        name=name,
        title=title,
        symbols=bg_cnbd.PARAMETERS,
        parameters=(_RATE, _SHAPE, _DROPOUT, _CONCENTRATION),
        published=_published_cnbd,
        lay_out=bg_cnbd_kernel.lay_out,
        density=partial(bg_cnbd_kernel.log_likelihood_of, modified=modified),
        log_likelihood=partial(bg_cnbd.log_likelihood, modified=modified),
        probability_alive=partial(bg_cnbd.probability_alive, modified=modified),
        forecast=partial(bg_cnbd_forecast.forecast, modified=modified),
        simulate_future=partial(bg_cnbd_forecast.simulate_future, modified=modified),
        simulate_customers=partial(bg_cnbd.simulate_customers, modified=modified),
        expected_since_start=partial(bg_cnbd.expected_since_start, modified=modified),
        constant="k",
    )


BG_CNBD = _regular("bg_cnbd", "BG/CNBD-k", modified=False)
MBG_CNBD = _regular("mbg_cnbd", "MBG/CNBD-k", modified=True)

_PURCHASE = Parameter("purchase", "logit", Prior("logit_purchase", -0.5, 2.0, 0.5), "mean probability of a purchase")
_PURCHASE_CONCENTRATION = Parameter(
    "purchase_concentration",
    "log",
    Prior("log_purchase_concentration", 1.0, 1.0, 0.2, centring=0.5),
    "concentration of purchase probabilities",
)
#: Opportunities may be as short as weeks, so a customer may leave at any of them with a small probability.
_LEAVING = Parameter("dropout", "logit", Prior("logit_dropout", -2.0, 2.0, 0.3), "mean dropout probability")


def _published_bg_bb(purchase, purchase_concentration, dropout, concentration):  # noqa: ANN001, ANN202
    return (
        purchase * purchase_concentration,
        (1 - purchase) * purchase_concentration,
        dropout * concentration,
        (1 - dropout) * concentration,
    )


BG_BB = Family(
    name="bg_bb",
    title="BG/BB",
    symbols=bg_bb.PARAMETERS,
    parameters=(_PURCHASE, _PURCHASE_CONCENTRATION, _LEAVING, _CONCENTRATION),
    published=_published_bg_bb,
    lay_out=bg_bb_kernel.lay_out,
    density=bg_bb_kernel.log_likelihood_of,
    log_likelihood=bg_bb.log_likelihood,
    probability_alive=bg_bb.probability_alive,
    forecast=bg_bb_forecast.forecast,
    simulate_future=bg_bb_forecast.simulate_future,
    simulate_customers=bg_bb.simulate_customers,
    expected_since_start=bg_bb.expected_since_start,
)

_DROPOUT_RATE = Parameter(
    "dropout_rate", "log", Prior("log_dropout_rate", -0.5, 1.5, 0.5), "mean dropouts a day", per_time=True
)
#: How alike customers are in dropout is little told by a unit's own data where few leave, hence half centred.
_DROPOUT_SHAPE = Parameter(
    "dropout_shape", "log", Prior("log_dropout_shape", 0.0, 1.0, 0.2, centring=0.5), "shape s of the dropout rates"
)


def _published_pareto(rate, shape, dropout_rate, dropout_shape):  # noqa: ANN001, ANN202
    return shape, shape / rate, dropout_shape, dropout_shape / dropout_rate


PARETO_NBD = Family(
    name="pareto_nbd",
    title="Pareto/NBD",
    symbols=pareto_nbd.PARAMETERS,
    parameters=(_RATE, _SHAPE, _DROPOUT_RATE, _DROPOUT_SHAPE),
    published=_published_pareto,
    lay_out=pareto_nbd_kernel.lay_out,
    density=pareto_nbd_kernel.log_likelihood_of,
    log_likelihood=pareto_nbd.log_likelihood,
    probability_alive=pareto_nbd.probability_alive,
    forecast=pareto_nbd_forecast.forecast,
    simulate_future=pareto_nbd_forecast.simulate_future,
    simulate_customers=pareto_nbd.simulate_customers,
    expected_since_start=pareto_nbd.expected_since_start,
)


def _published_nbd(rate, shape):  # noqa: ANN001, ANN202
    return shape, shape / rate


NBD = Family(
    name="nbd",
    title="NBD",
    symbols=nbd.PARAMETERS,
    parameters=(_RATE, _SHAPE),
    published=_published_nbd,
    lay_out=nbd.lay_out,
    density=nbd.log_likelihood_of,
    log_likelihood=nbd.log_likelihood,
    probability_alive=nbd.probability_alive,
    forecast=nbd.forecast,
    simulate_future=nbd.simulate_future,
    simulate_customers=nbd.simulate_customers,
    expected_since_start=nbd.expected_since_start,
)
