"""What a portfolio file says of one business unit: typed, validated records."""

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


def as_list(value: Any) -> Any:
    """Take one text for a list of one."""
    return [value] if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_refuse_boolean), Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_refuse_boolean)]
Text = Annotated[str, Field(min_length=1)]


class Record(BaseModel):
    """A table of the file: no other keys than its own, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Costs(Record):
    """What serving a customer costs, in the portfolio's currency.

    Parameters
    ----------
    per_transaction : float
        Money per purchase (picking, shipping, payment).
    per_customer_year : float
        Money per active customer and year (service, mailings).
    """

    per_transaction: Annotated[Number, Field(ge=0)] = 0.0
    per_customer_year: Annotated[Number, Field(ge=0)] = 0.0


def _as_range(value: Any) -> tuple[float, float]:
    ends = value if isinstance(value, list | tuple) else [value, value]
    if len(ends) != 2 or not all(isinstance(end, int | float) and 0 < _refuse_boolean(end) < 1 for end in ends):
        raise ValueError("neither a share nor a range of two")
    if ends[0] > ends[1]:
        raise ValueError("the range ends before it begins")
    return tuple(ends)


def _as_limits(value: Any) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("not two numbers")
    low, high = (_refuse_boolean(end) for end in value)
    if not all(isinstance(end, int | float) for end in (low, high)) or not 0 <= low <= 1 <= high < float("inf"):
        raise ValueError("today's spend, 1, is not within the limits")
    return float(low), float(high)


class Saving(Record):
    """What it costs to keep a customer from leaving, in the portfolio's currency, and how often that works.

    Parameters
    ----------
    contact_cost : float
        Money per customer contacted.
    offer_cost : float
        Money per offer that is taken up.
    acceptance : float, or two of them
        Share of would-be leavers who stay when offered it, above 0 and below 1: one number, or the ends of a range,
        which holds it with the portfolio's `interval` of probability.
    within_months : int
        Whoever would leave within so many months is to be saved.
    """

    contact_cost: Annotated[Number, Field(ge=0)]
    offer_cost: Annotated[Number, Field(ge=0)]
    acceptance: Annotated[tuple[float, float], BeforeValidator(_as_range)]
    within_months: Annotated[Count, Field(ge=1, le=12)] = 3


Stage = Literal["new", "active", "cooling", "silent", "settled", "at risk"]


class Action(Record):
    """Something that can be done for a customer: ``[units.NAME.actions.ACTION]``.

    Parameters
    ----------
    label : str
        Name for people.
    channel : str
        Channel of the contact.
    cost : float
        Money per customer contacted.
    programs : list of str
        Programs (`program_id`) whose measured effect it has.
    affects : {"spending", "leaving"}
        Whether it raises what a customer spends, or keeps a subscriber from leaving.
    stages : list of str
        Stages of the customers it is for; all without any. Shops: new, active, cooling, silent; subscriptions: new,
        settled, at risk.
    capacity : int, optional
        Contacts in a period, at most.
    preferred_only : bool
        Whether it goes to those alone whose own channel, by their touchpoints, is that of the action.
    """

    label: Text
    channel: Text
    cost: Annotated[Number, Field(ge=0)]
    programs: Annotated[list[Text], Field(min_length=1), BeforeValidator(as_list)]
    affects: Literal["spending", "leaving"] = "spending"
    stages: Annotated[list[Stage], BeforeValidator(as_list)] = []
    capacity: Annotated[Count, Field(ge=1)] | None = None
    preferred_only: bool = False


class ActionPlan(Record):
    """Limits of what is done in a period: ``[units.NAME.action_plan]``.

    Parameters
    ----------
    budget : float, optional
        Money in a period; no limit without it.
    period_days : int
        Length of a period.
    holdout : float
        Share of the customers drawn at random of whom nobody is contacted, so that effects can be measured.
    explore : float
        Share of the customers whose action is chosen by a draw of the effects instead of their mean.
    contacts_per_customer : int
        Contacts of a customer in a period, at most.
    rest_days : int
        Days after a contact in which a customer is left alone.
    channels : dict of str to int
        Contacts of a channel in a period, at most.
    """

    budget: Annotated[Number, Field(gt=0)] | None = None
    period_days: Annotated[Count, Field(ge=1, le=366)] = 30
    holdout: Annotated[Number, Field(ge=0, le=0.5)] = 0.1
    explore: Annotated[Number, Field(ge=0, le=1)] = 0.1
    contacts_per_customer: Annotated[Count, Field(ge=1, le=31)] = 1
    rest_days: Annotated[Count, Field(ge=0, le=366)] = 14
    channels: dict[str, Annotated[Count, Field(ge=1)]] = {}


class Trigger(Record):
    """What an event, or the lack of one, is to set off: ``[units.NAME.triggers.TRIGGER]``.

    Parameters
    ----------
    label : str
        Name for people.
    when : str
        Condition on a customer's scores, such as ``"probability_alive < 0.5 and value > 100"``.
    """

    label: Text
    when: Text


class TypeLines(Record):
    """Where high and often begin for the types of customers: ``[units.NAME.types]``.

    Parameters
    ----------
    margin_per_purchase : float, optional
        Margin per purchase (per month of a subscription) that counts as high, in money.
    purchases_per_year : float, optional
        Purchases a year that count as often.
    """

    margin_per_purchase: Number | None = None
    purchases_per_year: Annotated[Number, Field(gt=0)] | None = None


class Tier(Record):
    """One value tier: ``[units.NAME.tiers]``; the margin a year of its customers.

    Parameters
    ----------
    start, end : float, optional
        Money a year, written ``from`` and ``to``: from `start` to less than `end`; open without it.
    """

    start: Number | None = Field(None, alias="from")
    end: Number | None = Field(None, alias="to")

    @property
    def low(self) -> float:
        """Lower end, minus infinity where it is open."""
        return -float("inf") if self.start is None else self.start

    @property
    def high(self) -> float:
        """Upper end, infinity where it is open."""
        return float("inf") if self.end is None else self.end


class TableSource(Record):
    """Where one table of a unit is and how its columns map to the contract.

    Parameters
    ----------
    path : str, optional
        CSV (plain or ``.gz``) or Parquet file, relative to the source folder.
    table : str, optional
        Name of the table in the database, when the source is a connection URL.
    columns : dict of str to str
        Contract column to the name of a column of the source, or else to an SQL expression over its columns.
    filters : list of str
        SQL conditions over the source's columns; only rows that meet all of them are used.
    channels : dict of str to str
        For `media` with one column of spend per channel: channel to the name of its column.
    """

    path: Text | None = None
    table: Text | None = None
    columns: dict[str, Text] = {}
    filters: Annotated[list[Text], BeforeValidator(as_list)] = []
    channels: dict[str, Text] = {}


class MediaSettings(Record):
    """What is known about a unit's media: ``[units.NAME.media_mix]``.

    Parameters
    ----------
    follows_demand : list of str, optional
        Channels whose spend follows demand (search for the brand, retargeting), whatever their name; without it, those
        whose name or course says so.
    limits : dict of str to tuple of float
        Channel to the lowest and highest multiple of last year's spend that a plan may give it; ``[1, 1]`` fixes it.
    """

    follows_demand: Annotated[list[Text] | None, BeforeValidator(as_list)] = None
    limits: dict[str, Annotated[tuple[float, float], BeforeValidator(_as_limits)]] = {}


def _as_hurdle(value: Any) -> float:
    if not isinstance(_refuse_boolean(value), int | float) or not -1 < value < float("inf"):
        raise ValueError("not a return above -1")
    return float(value)


HurdleReturn = Annotated[float, BeforeValidator(_as_hurdle)]


class ProgramSettings(Record):
    """What a unit asks of its marketing programs: ``[units.NAME.programs]``.

    Parameters
    ----------
    hurdle_return : float
        Return asked for beyond the cost: 0 is breaking even, 0.2 asks for 1.20 of margin per unit of money spent.
    hurdle_returns : dict of str to float
        Program (`program_id`) to the return that is asked of it instead.
    """

    hurdle_return: HurdleReturn = 0.0
    hurdle_returns: dict[str, HurdleReturn] = {}


class JourneySettings(Record):
    """How a unit's touchpoints become journeys: ``[units.NAME.journeys]``.

    Parameters
    ----------
    lookback_days : float
        Touches older than this before a conversion do not count for it, and a silence longer than this ends a journey.
    session_minutes : float
        Touches of one channel that follow each other within so many minutes are one visit.
    half_life_days : float
        Age at which a touch counts half, under the rule of time decay.
    longest_journey : int
        Touches of a journey that are kept, the latest ones.
    most_channels : int
        Channels kept apart; the smallest ones beyond are counted together, and that is disclosed.
    direct : list of str
        Channels that stand for a visit without a campaign.
    carryover_days : int
        How long after a channel was withheld from customers their conversions are still compared.
    stages, purposes : dict of str to str
        Channel, or channel/content, to its stage and purpose; replaces the default of `cvmlib.attribution.stages`.
    """

    lookback_days: Annotated[Number, Field(gt=0, le=3650)] = 30.0
    session_minutes: Annotated[Number, Field(ge=0, le=1440)] = 30.0
    half_life_days: Annotated[Number, Field(gt=0, le=3650)] = 7.0
    longest_journey: Annotated[Count, Field(ge=1, le=1000)] = 100
    most_channels: Annotated[Count, Field(ge=2, le=200)] = 60
    direct: Annotated[list[Text], BeforeValidator(as_list)] = ["direct"]
    carryover_days: Annotated[Count, Field(ge=0, le=365)] = 14
    stages: dict[str, Literal["discover", "explore", "engage", "buy"]] = {}
    purposes: dict[str, Literal["educate", "engage"]] = {}


class Retention(Record):
    """What may drive leaving in a contractual unit, and what its records tell: ``[units.NAME.retention]``.

    Parameters
    ----------
    covariates : list of str
        Columns of `subscriptions` or `customers`, known before the time at risk begins.
    cuts : dict of str to list of float
        Where the range of a numeric covariate is cut; otherwise at its quartiles.
    measured_on : dict of str to str
        Column with the date on which a covariate was measured.
    records_from : datetime.date, optional
        First day whose leavers are all recorded; otherwise judged by the data. Who joined earlier is at risk from it.
    renewal_months : int
        Months between renewals, at which more may leave; 0 for none.
    """

    covariates: Annotated[list[Text], BeforeValidator(as_list)] = []
    cuts: dict[str, Annotated[list[Number], Field(min_length=1)]] = {}
    measured_on: dict[str, Text] = {}
    records_from: datetime.date | None = None
    renewal_months: Annotated[Count, Field(ge=0, le=60)] = 12


class BusinessUnit(Record):
    """One business unit of the portfolio.

    Parameters
    ----------
    name : str
        Key of the unit: its folder in reports and the index of its row in every table.
    label : str
        Name for people.
    setting : {"noncontractual", "contractual"}
        Whether customers leave silently (shops) or end a contract (subscriptions).
    margin : float
        Share of the value that is margin, above 0 and at most 1.
    costs : Costs
        What serving a customer costs.
    retention : Retention
        What may drive leaving, in a contractual unit.
    saving : Saving, optional
        What keeping a customer costs; without it nobody is listed to be saved.
    tables : dict of str to TableSource
        Tables by contract name.
    source : str, optional
        Folder or Ibis connection URL that replaces the portfolio's for this unit.
    pool : str, optional
        Name of the group of units that borrow strength from each other; units without one form a group together.
    market_customers : int, optional
        Customers there are to win in all, those won included.
    covariates : list of str
        Columns of `customers` by which purchase rates and dropout may differ, in a noncontractual unit.
    opportunity : {"week", "month", "quarter", "year"}, optional
        Period in which a customer of a noncontractual unit can buy once (or in which buying counts once), such as the
        year of a donation; without it he can buy at any time.
    journeys : JourneySettings
        How its touchpoints become journeys.
    media_mix : MediaSettings
        What is known about its media.
    programs : ProgramSettings
        What is asked of its marketing programs.
    types : TypeLines
        Where high and often begin for its customers' types.
    tiers : dict of str to Tier
        Its value tiers, by margin a year.
    actions : dict of str to Action
        What can be done for a customer.
    action_plan : ActionPlan
        Budget, capacity and rest.
    triggers : dict of str to Trigger
        Conditions on a customer's scores that are to be told at once.
    """

    name: str
    label: Text
    setting: Literal["noncontractual", "contractual"]
    margin: Annotated[Number, Field(gt=0, le=1)]
    costs: Costs = Costs()
    saving: Saving | None = None
    retention: Retention = Retention()
    tables: dict[str, TableSource]
    source: Text | None = None
    pool: str = ""
    market_customers: Annotated[Count, Field(ge=1)] | None = None
    covariates: Annotated[list[Text], BeforeValidator(as_list)] = []
    opportunity: Literal["week", "month", "quarter", "year"] | None = None
    journeys: JourneySettings = JourneySettings()
    media_mix: MediaSettings = MediaSettings()
    programs: ProgramSettings = ProgramSettings()
    types: TypeLines = TypeLines()
    tiers: dict[str, Tier] = {}
    actions: dict[str, Action] = {}
    action_plan: ActionPlan = ActionPlan()
    triggers: dict[str, Trigger] = {}
