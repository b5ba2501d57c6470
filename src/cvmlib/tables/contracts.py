"""What every table of the project must hold: column names, types, units and meaning.

The contracts are data. `cvmlib.portfolio` refuses a mapping that names anything else, `cvmlib.tables.checks` holds the
supplied tables against them, and ``data/README.md`` prints them for people.
"""

from dataclasses import dataclass, field
from typing import Literal

ColumnType = Literal["text", "time", "number"]


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    Parameters
    ----------
    name : str
        Name of the column in this project.
    type : {"text", "time", "number"}
        ``text`` is a string, ``time`` a timestamp (or a date), ``number`` a floating-point number.
    required : bool
        Whether the table is unusable without it.
    unit : str
        Unit of the values; empty for text.
    meaning : str
        One sentence for the person who maps a column to it.
    allowed : tuple of str
        The only values the column may take; empty when it is free.
    """

    name: str
    type: ColumnType
    required: bool
    unit: str
    meaning: str
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """The agreement about one table: what it is for, its columns, and which of them identify a row.

    Parameters
    ----------
    name : str
        Name of the table, as written in ``[units.NAME.tables.TABLE]``.
    purpose : str
        What is built from it.
    columns : tuple of Column
        Its columns, required ones first.
    key : tuple of str
        Columns that together identify a row; empty when rows need no identity.
    open : bool
        Whether further columns are welcome (as covariates): all of them where there is a key, else those mapped by
        name, since two rows without a key are the same when all their columns are.
    named : bool
        Whether an open contract with a key takes only the further columns that are mapped by name.
    """

    name: str
    purpose: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    open: bool = False
    named: bool = False
    column_by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_by_name", {column.name: column for column in self.columns})

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns the table cannot do without."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(column.name for column in self.columns)


def _need(name: str, type: ColumnType, unit: str, meaning: str, allowed: tuple[str, ...] = ()) -> Column:
    return Column(name, type, True, unit, meaning, allowed)


def _may(name: str, type: ColumnType, unit: str, meaning: str, allowed: tuple[str, ...] = ()) -> Column:
    return Column(name, type, False, unit, meaning, allowed)


_CUSTOMER = _need("customer_id", "text", "", "Who; the same identifier in every table of the unit.")
_WEEK = _need("week", "time", "week", "Any day of the week (Monday to Sunday) the row is about.")

_CONTRACTS = (
    Contract(
        "transactions",
        "What customers bought, one row per order or order line. Compulsory for noncontractual units: purchase counts, "
        "customer value.",
        (
            _CUSTOMER,
            _need("date", "time", "day or finer", "When the purchase was made."),
            _need("value", "number", "money", "What was paid for the row; negative for a return."),
            _may("order_id", "text", "", "Order, invoice or receipt the row belongs to."),
            _may("product_id", "text", "", "What was bought; a key of `products`."),
            _may("quantity", "number", "pieces", "How many pieces."),
            _may("channel", "text", "", "Where it was bought (shop, web, telephone)."),
        ),
    ),
    Contract(
        "subscriptions",
        "Contracts with a start and, once ended, an end. Compulsory for contractual units: retention, residual value.",
        (
            _CUSTOMER,
            _need("start", "time", "day", "First day of the contract."),
            _need("end", "time", "day", "Day the contract ended; empty while it runs."),
            _need("price", "number", "money per month", "What the customer pays per month."),
            _may("subscription_id", "text", "", "Contract number."),
            _may("plan", "text", "", "Tariff or product of the contract."),
            _may("end_reason", "text", "", "Whether the customer left or was cut off.", ("voluntary", "involuntary")),
        ),
        open=True,
    ),
    Contract(
        "customers",
        "One row per customer: when and how acquired, who referred whom, and covariates.",
        (
            _CUSTOMER,
            _may("acquired_on", "time", "day", "When the customer was acquired."),
            _may("acquisition_channel", "text", "", "Channel that brought the customer."),
            _may("acquisition_cost", "number", "money", "What it cost to acquire the customer."),
            _may("referred_by", "text", "", "Customer who referred this one; empty if nobody did."),
        ),
        key=("customer_id",),
        open=True,
    ),
    Contract(
        "products",
        "One row per product: its category, for cross-selling, and its own margin.",
        (
            _need("product_id", "text", "", "The identifier used in `transactions`."),
            _need("category", "text", "", "Category of the product."),
            _may("name", "text", "", "Name for people."),
            _may("margin", "number", "share of the value", "Margin of this product, 0 to 1; otherwise the unit's."),
        ),
        key=("product_id",),
    ),
    Contract(
        "touchpoints",
        "Every contact of a customer with the company's marketing, one row each: attribution.",
        (
            _CUSTOMER,
            _need("time", "time", "second or coarser", "When the contact took place."),
            _need("channel", "text", "", "Channel of the contact."),
            _may("content", "text", "", "What was shown."),
            _may("stage", "text", "", "Stage of the journey.", ("discover", "explore", "engage", "buy")),
            _may("purpose", "text", "", "What the contact was for.", ("educate", "engage")),
            _may("cost", "number", "money", "What the contact cost."),
        ),
    ),
    Contract(
        "conversions",
        "What the journeys led to, one row per conversion: attribution.",
        (
            _CUSTOMER,
            _need("time", "time", "second or coarser", "When the customer converted."),
            _need("value", "number", "money", "What the conversion was worth."),
        ),
    ),
    Contract(
        "paths",
        "Journeys already counted, one row per path: attribution, where single touchpoints are not at hand.",
        (
            _need("path", "text", "", "Channels in order of time with `>` between: `search > email > direct`."),
            _need("conversions", "number", "journeys", "How many journeys of this path converted."),
            _may("value", "number", "money", "What their conversions were worth in all."),
            _may("nulls", "number", "journeys", "How many journeys of this path did not convert."),
        ),
    ),
    Contract(
        "holdouts",
        "Customers from whom a channel was withheld at random, and those it was shown to: what it truly caused.",
        (
            _need("channel", "text", "", "Channel as named in `touchpoints`."),
            _CUSTOMER,
            _need("arm", "text", "", "Whether the channel was left on or withheld.", ("treated", "control")),
            _need("start", "time", "day", "First day of the test."),
            _need("end", "time", "day", "Last day of the test."),
        ),
        key=("channel", "customer_id", "start"),
    ),
    Contract(
        "media",
        "Weekly spend by channel: media mix. Rows of one week, channel and region are added up.",
        (
            _WEEK,
            _need("channel", "text", "", "Media channel."),
            _need("spend", "number", "money", "What was spent in the week."),
            _may("exposure", "number", "impressions, clicks or rating points", "How much of it people met."),
            _may("region", "text", "", "Region of the spend; otherwise the whole market."),
            _may("currency", "text", "", "Currency of the spend; otherwise the portfolio's."),
        ),
    ),
    Contract(
        "outcomes",
        "The weekly figure that media should move: media mix.",
        (
            _WEEK,
            _need("value", "number", "money", "Sales (or another outcome) of the week."),
            _may("region", "text", "", "Region of the outcome; otherwise the whole market."),
            _may("outlet", "text", "", "Where it was sold, such as store or online; otherwise all outlets together."),
            _may("price", "number", "money", "Average price in the week."),
            _may("promotion", "number", "0 to 1", "Share of the week on promotion."),
            _may("currency", "text", "", "Currency of the value; otherwise the portfolio's."),
        ),
        key=("week", "region", "outlet"),
        open=True,
        named=True,
    ),
    Contract(
        "lift_tests",
        "What experiments on media measured, one row per test: they calibrate the media mix.",
        (
            _need("channel", "text", "", "Channel as named in `media`."),
            _need("start", "time", "day", "First day of the test."),
            _need("end", "time", "day", "Last day of the test."),
            _need("spend", "number", "money", "What was spent more (or, negative, withheld) because of the test."),
            _need("lift", "number", "money", "Outcome of these days that this brought (or, negative, cost)."),
            _need("lift_error", "number", "money", "Standard error of the lift."),
            _need(
                "basis",
                "text",
                "",
                "What spend, lift and error are: sums over the test or averages per week.",
                ("total", "weekly"),
            ),
            _may("control_spend", "number", "money", "What was spent there without the test; otherwise nothing."),
            _may("relative_lift", "number", "share of the outcome", "The lift as a share of the outcome without it."),
            _may("market_share", "number", "0 to 1", "Part of the market that was tested; otherwise all of it."),
            _may("region", "text", "", "Region tested; otherwise all."),
            _may("outlet", "text", "", "Outlet measured; otherwise all."),
        ),
    ),
    Contract(
        "programs",
        "Marketing programs and what each is meant to achieve: lift, return, next best action.",
        (
            _need("program_id", "text", "", "Identifier of the program."),
            _need("label", "text", "", "Name for people."),
            _need("challenge", "text", "", "Challenge it answers.", ("lifecycle", "segment", "channel", "function")),
            _need(
                "intended_outcome",
                "text",
                "",
                "What it should bring about.",
                ("acquisition", "conversion", "revenue", "cross-sell", "up-sell", "retention", "activation"),
            ),
            _need("start", "time", "day", "First day of the program."),
            _may("end", "time", "day", "Last day; empty while it runs."),
            _may("cost", "number", "money", "What it cost in all."),
            _may("channel", "text", "", "Channel it ran in."),
            _may("media_channel", "text", "", "Channel of `media` whose spend it varied: it calibrates the media mix."),
            _may(
                "design",
                "text",
                "",
                "How treated and control came about; without it, two arms are taken as drawn at random.",
                ("randomised", "regional", "matched", "none"),
            ),
            _may("treated_share", "number", "0 to 1", "Planned share of the customers drawn that are treated."),
            _may(
                "window_days", "number", "days", "Days after the assignment in which its outcome counts; otherwise 90."
            ),
        ),
        key=("program_id",),
    ),
    Contract(
        "assignments",
        "Who was treated and who was held back, one row per customer and program: lift.",
        (
            _need("program_id", "text", "", "A key of `programs`; `*` for one held back from every program."),
            _need("customer_id", "text", "", "Who; in a regional program, the region of `outcomes`."),
            _need("arm", "text", "", "Whether the customer was treated or held back.", ("treated", "control")),
            _may("assigned_on", "time", "day", "When the arm was drawn."),
            _may("outcome", "number", "money", "What the customer brought, if not to be counted from purchases."),
            _may("converted", "number", "0 or 1", "Whether the customer did what the program is for."),
            _may("before", "number", "money", "What the customer had brought in the equal period before."),
            _may("segment", "text", "", "Segment by which uplift is told apart."),
        ),
        key=("program_id", "customer_id"),
    ),
    Contract(
        "activity",
        "Weekly counts of what marketing set in motion: program reviews.",
        (
            _WEEK,
            _need("kind", "text", "", "What was counted.", ("traffic", "calls", "walk-ins", "views", "conversations")),
            _need("count", "number", "events", "How many."),
            _may("channel", "text", "", "Channel they came through."),
            _may("program_id", "text", "", "Program they belong to."),
        ),
    ),
)

CONTRACTS: dict[str, Contract] = {contract.name: contract for contract in _CONTRACTS}
"""Every table of the project by name."""

COMPULSORY: dict[str, str] = {"noncontractual": "transactions", "contractual": "subscriptions"}
"""The one table that a unit of each setting cannot do without, unless it supplies one of `STANDALONE`."""

STANDALONE = ("programs", "media", "paths", "touchpoints")
"""Tables with pages of their own, which need no log of customers: a unit may consist of one of them alone."""


def _type_words(column: Column) -> str:
    if column.allowed:
        return "one of " + ", ".join(f"`{value}`" for value in column.allowed)
    return f"{column.type} ({column.unit})" if column.unit else column.type


def contracts_markdown() -> str:
    """Return the tables part of ``data/README.md``, in Markdown, one section per contract."""
    sections = []
    for contract in CONTRACTS.values():
        lines = [f"### {contract.name}", "", contract.purpose, ""]
        lines += ["| column | required | type (unit) | meaning |", "| --- | --- | --- | --- |"]
        for column in contract.columns:
            required = "yes" if column.required else ""
            lines.append(f"| `{column.name}` | {required} | {_type_words(column)} | {column.meaning} |")
        if contract.key:
            lines += ["", "One row per " + ", ".join(f"`{name}`" for name in contract.key) + "."]
        if contract.open:
            kept = "column" if contract.key and not contract.named else "column that is mapped by name"
            lines += ["", f"Any further {kept} is kept as a covariate."]
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n"
