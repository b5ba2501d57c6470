"""How the value of a unit's customers comes about, in words: what the purchase and spend models assume."""

from cvmlib.clv.results import UnitValue
from cvmlib.reporting import show

_TIMES = {
    "random": (
        "Customers buy at random times, each at a rate $\\lambda$ of their own that follows the calendar of the unit"
    ),
    "rhythm": (
        "Customers buy by a rhythm, each at a pace $\\lambda$ of their own that follows the calendar of the unit: a "
        "gap between purchases has {stages} stages of random length, so that gaps are more alike than by chance"
    ),
}
_AFTER = "after any repeat purchase, each with a probability $p$ of their own"
_LEAVES = {
    "bg_nbd": _AFTER,
    "bg_cnbd": _AFTER,
    "mbg_nbd": "after any purchase, the first included, each with a probability $p$ of their own",
    "mbg_cnbd": "after any purchase, the first included, each with a probability $p$ of their own",
    "pareto_nbd": "at any time, each at a rate $\\mu$ of their own",
    "bg_bb": "before any of them, each with a probability $\\theta$ of their own",
}
_OPPORTUNITIES = "Customers buy once or not at all in a {opportunity}, each with a probability $p$ of their own"
_RATES = r"$$\lambda \sim \mathrm{Gamma}(r, \alpha), \qquad p \sim \mathrm{Beta}(a, b).$$"
_LAWS = {
    "pareto_nbd": ("Both", r"$$\lambda \sim \mathrm{Gamma}(r, \alpha), \qquad \mu \sim \mathrm{Gamma}(s, \beta).$$"),
    "bg_bb": ("Both", r"$$p \sim \mathrm{Beta}(\alpha, \beta), \qquad \theta \sim \mathrm{Beta}(\gamma, \delta).$$"),
}


def show_model(unit: UnitValue) -> None:
    """Say what the purchase and spend models of the unit assume."""
    show.prose(describe_model(unit.totals["model"]))


def describe_model(model: dict) -> str:
    """Say in Markdown what a purchase model assumes; keys ``family``, ``title``, ``stages`` and ``opportunity``."""
    if model["opportunity"]:
        times = _OPPORTUNITIES.format(opportunity=model["opportunity"])
    else:
        times = _TIMES["random" if model["stages"] == 1 else "rhythm"].format(stages=model["stages"])
    varies, law = _LAWS.get(model["family"], ("Rates and probabilities", _RATES))
    return (
        f"{times}, and may leave for good {_LEAVES[model['family']]} ({model['title']}). {varies} vary over the "
        f"customers of a unit:\n\n{law}\n\nA purchase is worth an amount around the customer's own mean, and those "
        "means vary as well (Gamma-Gamma). The parameters of all units are estimated together, so that a small unit "
        "borrows from the others what it cannot tell by itself. The models page shows the fit, its priors and its "
        "convergence."
    )
