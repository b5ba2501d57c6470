"""Families of purchase models behind one face: what the fit, the forecast and the comparison ask of a model.

A family gives its parameters in a form that is interpretable and nearly orthogonal in the posterior (with priors on a
link scale), the way from there to the published symbols, and functions of count rows. A time is in days unless it is
said to be in the model's own unit; every function takes the published parameters in the order of `symbols`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cvmlib.clv.pooling import Prior

Array = npt.NDArray[np.float64]
Link = Literal["log", "logit"]


@dataclass(frozen=True)
class Parameter:
    """An interpretable parameter of a family.

    Parameters
    ----------
    name : str
        Its name in the posterior.
    link : {"log", "logit"}
        The scale on which its prior lives.
    prior : Prior
        The prior, for times measured in the mean age of the customers.
    label : str
        Its name for people.
    per_time : bool
        Whether it is a rate, so that it is divided by the days of the model's unit of time.
    effect : str
        Name for people of the ratio by which covariates change it; empty where they do not (`cvmlib.clv.effects`).
    """

    name: str
    link: Link
    prior: Prior
    label: str
    per_time: bool = False
    effect: str = ""


@dataclass(frozen=True)
class Family:
    """A purchase model.

    Parameters
    ----------
    name, title : str
        Published name in code (``bg_nbd``) and in print (``BG/NBD``).
    symbols : tuple of str
        Published parameters.
    parameters : tuple of Parameter
        What is sampled, one for each published parameter that is estimated.
    published : callable
        From the values of `parameters`, in their order, to the published parameters; plain arithmetic, so that it takes
        NumPy arrays and PyTensor variables alike. Where a family has a constant (the Erlang shape of a unit), it
        comes last: ``published(*values, constant)``.
    lay_out : callable
        ``lay_out(group, frequency, recency, T, customers)`` arranges count rows (times in the model's own unit) for
        `density`.
    density : callable
        ``density(data, *published)``: log-likelihood of the laid-out table as a PyTensor scalar; the published
        parameters have shape (groups,).
    log_likelihood : callable
        ``log_likelihood(frequency, recency, T, *published)``: of each customer, broadcasting.
    probability_alive : callable
        ``probability_alive(frequency, recency, T, *published)``: at T, broadcasting.
    forecast : callable
        ``forecast(edges, frequency, recency, T, *published)``: `edges` has shape (draws, windows + 1), days after T,
        rising, the first 0; the counts have shape (rows,), the parameters (draws,). Returns the expected purchases in
        each window, shape (windows, draws, rows), and the probability of being alive at each edge, shape
        (windows + 1, draws, rows), both of a customer with these counts.
    forecast_sums : callable
        ``forecast_sums(edges, of_purchases, of_alive, frequency, recency, T, *published)``: sums of what `forecast`
        returns, with weights of shape (sums, windows) and (sums, windows + 1); returns (sums, draws, rows).
    simulate_future : callable
        ``simulate_future(horizon, frequency, recency, T, *published, rng)``: `horizon` and parameters (draws,), counts
        (rows,); returns purchases in the horizon, int64 of shape (draws, rows), one draw of each customer under
        each draw of the parameters.
    simulate_customers : callable
        ``simulate_customers(T, *published, rng)``: ``(frequency, recency)`` of new customers of ages T; parameters
        are scalars.
    expected_since_start : callable
        ``expected_since_start(age, *published)``: repeat purchases of a new customer up to each age; scalars.
    constant : str
        Name of the constant that `published` takes last ("" for none).
    """

    name: str
    title: str
    symbols: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    published: Callable[..., tuple]
    lay_out: Callable[..., Any]
    density: Callable[..., Any]
    log_likelihood: Callable[..., Array]
    probability_alive: Callable[..., Array]
    forecast: Callable[..., tuple[Array, Array]]
    forecast_sums: Callable[..., Array]
    simulate_future: Callable[..., npt.NDArray[np.int64]]
    simulate_customers: Callable[..., tuple[npt.NDArray[np.int64], Array]]
    expected_since_start: Callable[..., Array]
    constant: str = ""

    @property
    def names(self) -> list[str]:
        """Names of the sampled parameters in the posterior."""
        return [parameter.name for parameter in self.parameters]

    @property
    def measures_time(self) -> bool:
        """Whether recency and T are times; otherwise they count opportunities, which are whole."""
        return any(parameter.per_time for parameter in self.parameters)
