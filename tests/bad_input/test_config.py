"""Mistakes in the portfolio file: the message that a person sees for each."""

import pytest

from cvmlib.errors import ConfigError
from cvmlib.portfolio import read_portfolio

GOOD = """[portfolio]
name = "Shop"
source = "tables"
currency = "EUR"
discount_rate = 0.10

[units.shop]
label = "Web shop"
setting = "noncontractual"
margin = 0.4

[units.shop.tables.transactions]
path = "orders.csv"
"""

TABLE = "units.shop.tables.transactions"

# what is wrong, what to replace in the good file, by what, and what the message must say
MISTAKES = [
    ("margin in percent", "margin = 0.4", "margin = 45", ["units.shop.margin", "found 45", "at most 1", "0.45"]),
    (
        "market of nobody",
        "margin = 0.4",
        "margin = 0.4\nmarket_customers = 0",
        ["units.shop.market_customers", "found 0", "a whole number of at least 1", "those won included"],
    ),
    (
        "market of half a customer",
        "margin = 0.4",
        "margin = 0.4\nmarket_customers = 10.5",
        ["found 10.5", "whole number"],
    ),
    ("margin zero", "margin = 0.4", "margin = 0", ["units.shop.margin", "found 0", "above 0"]),
    ("margin as text", "margin = 0.4", 'margin = "much"', ["units.shop.margin", 'found "much"', "a number"]),
    ("margin true", "margin = 0.4", "margin = true", ["units.shop.margin", "found true", "a number"]),
    ("margin not a number", "margin = 0.4", "margin = nan", ["units.shop.margin", "found nan", "a number"]),
    ("margin missing", "margin = 0.4\n", "", ["units.shop.margin", "missing", "at most 1"]),
    (
        "unknown setting",
        '"noncontractual"',
        '"non-contractual"',
        ["units.shop.setting", 'found "non-contractual"', '"noncontractual" or "contractual"'],
    ),
    (
        "misspelt key",
        "margin = 0.4",
        "margn = 0.4",
        ["units.shop.margn", "unknown key", "Did you mean margin?", "units.shop.margin: missing"],
    ),
    (
        "misspelt portfolio key",
        "discount_rate",
        "discountrate",
        ["portfolio.discountrate", "Did you mean discount_rate?", "horizon_months"],
    ),
    ("unknown section", "[portfolio]", "[demmo]\n[portfolio]", ["demmo", "unknown key", "Did you mean demo?"]),
    ("no portfolio section", "[portfolio]", "[demo]", ["portfolio: missing", "[portfolio]"]),
    ("unit that is a number", "[units.shop]", "[units]\nold = 3\n[units.shop]", ["units.old", "found 3", "a table"]),
    ("unit name with capitals", "units.shop", "units.Shop", ["units.Shop", "small letters"]),
    ("name given twice", 'label = "Web shop"', 'name = "Web shop"', ["units.shop.name", "Did you mean label?"]),
    ("currency in words", '"EUR"', '"euro"', ["portfolio.currency", 'found "euro"', "three capital letters"]),
    ("discount rate in percent", "= 0.10", "= 10", ["portfolio.discount_rate", "found 10", "0.10"]),
    ("negative cost", "margin", "costs = { per_transaction = -1 }\nmargin", ["costs.per_transaction", "found -1"]),
    ("unknown cost", "margin", "costs = { per_order = 1 }\nmargin", ["costs.per_order", "per_customer_year"]),
    (
        "negative cost of a contact",
        "margin",
        "saving = { contact_cost = -1, offer_cost = 1, acceptance = 0.3 }\nmargin",
        ["saving.contact_cost", "found -1", "at least 0"],
    ),
    (
        "acceptance in per cent",
        "margin",
        "saving = { contact_cost = 1, offer_cost = 1, acceptance = 30 }\nmargin",
        ["saving.acceptance", "found 30", "above 0 and below 1"],
    ),
    (
        "acceptance the wrong way round",
        "margin",
        "saving = { contact_cost = 1, offer_cost = 1, acceptance = [0.4, 0.2] }\nmargin",
        ["saving.acceptance", "the lower one first"],
    ),
    (
        "no acceptance",
        "margin",
        "saving = { contact_cost = 1, offer_cost = 1 }\nmargin",
        ["saving.acceptance: missing", "[0.2, 0.4]"],
    ),
    (
        "unknown cost of saving",
        "margin",
        "saving = { contact_cost = 1, offer_cost = 1, acceptance = 0.3, offer = 2 }\nmargin",
        ["saving.offer", "Did you mean offer_cost?"],
    ),
    (
        "saving within no month",
        "margin",
        "saving = { contact_cost = 1, offer_cost = 1, acceptance = 0.3, within_months = 0 }\nmargin",
        ["within_months", "1 to 12"],
    ),
    (
        "end of observation in words",
        "currency",
        'end_of_observation = "last June"\ncurrency',
        ["portfolio.end_of_observation", 'found "last June"', "2026-06-30"],
    ),
    (
        "covariates without customers",
        "margin",
        'covariates = ["age"]\nmargin',
        ["units.shop.covariates", "no such table", "[units.shop.tables.customers]"],
    ),
    (
        "covariates of a contractual unit",
        'setting = "noncontractual"',
        'setting = "contractual"\ncovariates = "plan"',
        ["units.shop.covariates", "units.shop.retention.covariates"],
    ),
    (
        "covariate given twice",
        "[units.shop.tables.transactions]",
        'covariates = ["age", "age"]\ntables.customers.path = "c.csv"\n[units.shop.tables.transactions]',
        ["units.shop.covariates", 'found "age" twice'],
    ),
    (
        "customers as covariates",
        "[units.shop.tables.transactions]",
        'covariates = ["referred_by"]\ntables.customers.path = "c.csv"\n[units.shop.tables.transactions]',
        ["units.shop.covariates", 'found "referred_by"', "a few values"],
    ),
    ("covariates as a number", "margin", "covariates = 3\nmargin", ["units.shop.covariates", "found 3", "a list of"]),
    ("horizon of no month", "currency", "horizon_months = 0\ncurrency", ["portfolio.horizon_months", "1 to 120"]),
    ("half a month", "currency", "holdout_months = 1.5\ncurrency", ["portfolio.holdout_months", "whole number"]),
    (
        "unknown time unit",
        "currency",
        'time_unit = "month"\ncurrency',
        ["portfolio.time_unit", '"hour", "day" or "week"'],
    ),
    (
        "opportunity of a day",
        "margin",
        'opportunity = "day"\nmargin',
        ["units.shop.opportunity", 'found "day"', '"week", "month", "quarter" or "year"'],
    ),
    (
        "opportunities of subscribers",
        '"noncontractual"',
        '"contractual"\nopportunity = "year"',
        ["units.shop.opportunity", "contractual unit", "leave it out"],
    ),
    (
        "half a year of yearly opportunities",
        "[units.shop]",
        'horizon_months = 6\n[units.shop]\nopportunity = "year"',
        ["portfolio.horizon_months", "found 6", "the years by which units.shop is counted", "a multiple of 12"],
    ),
    (
        "a holdout within a quarter",
        "[units.shop]",
        'holdout_months = 4\n[units.shop]\nopportunity = "quarter"',
        ["portfolio.holdout_months", "found 4", "a multiple of 3"],
    ),
    ("certain interval", "currency", "interval = 1.0\ncurrency", ["portfolio.interval", "0.9"]),
    ("no chain", "[units.shop]", "[portfolio.sampling]\nchains = 0\n[units.shop]", ["sampling.chains", "1 to 16"]),
    ("unset variable", '"tables"', '"${CVM_UNSET_1}/x"', ["portfolio.source", "CVM_UNSET_1 is not set", ":-"]),
    (
        "unknown table",
        "tables.transactions",
        "tables.transaction",
        ["units.shop.tables.transaction:", "unknown table", "Did you mean transactions?"],
    ),
    (
        "compulsory table missing",
        '"noncontractual"',
        '"contractual"',
        ["units.shop.tables", "found no subscriptions", "[units.shop.tables.subscriptions]"],
    ),
    ("neither path nor table", 'path = "orders.csv"', "", [TABLE, "missing", "path =", "table ="]),
    ("both path and table", "path =", 'table = "orders"\npath =', [TABLE, "both path and table"]),
    ("table in a folder", "path =", "table =", [f"{TABLE}.table", "is a folder", "connection URL"]),
    ("spreadsheet", "orders.csv", "orders.xlsx", [f"{TABLE}.path", 'found "orders.xlsx"', ".parquet, .csv or .csv.gz"]),
    (
        "unknown contract column",
        "path =",
        'columns = { customer = "id" }\npath =',
        [f"{TABLE}.columns.customer", "unknown column", "Did you mean customer_id?"],
    ),
    (
        "empty expression",
        "path =",
        'columns = { value = "" }\npath =',
        [f"{TABLE}.columns.value", 'found ""', "not empty"],
    ),
    ("filter that is a number", "path =", "filters = 3\npath =", [f"{TABLE}.filters", "found 3", "SQL conditions"]),
    (
        "no quotation marks",
        '"Web shop"',
        "Web shop",
        ["not valid TOML", "line 8", "quotation marks", "label = Web shop"],
    ),
    ("key given twice", 'label = "Web shop"', 'margin = 0.3\nlabel = "Web shop"', ["not valid TOML", "once only"]),
]


@pytest.mark.parametrize(("old", "new", "phrases"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_message_names_key_found_and_allowed(tmp_path, old, new, phrases):
    assert old in GOOD
    path = tmp_path / "shop.toml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_portfolio(path)
    for phrase in phrases:
        assert phrase in str(error.value)


def test_the_file_without_a_mistake_is_read(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert read_portfolio(path).units["shop"].margin == 0.4


def test_equal_labels_are_refused(tmp_path):
    second = GOOD[GOOD.index("[units.shop]") :].replace("units.shop", "units.other")
    path = tmp_path / "shop.toml"
    path.write_text(GOOD + second, encoding="utf-8")
    with pytest.raises(ConfigError, match=r'units\.other\.label: found "Web shop", the label of units\.shop too'):
        read_portfolio(path)


def test_no_unit(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text(GOOD[: GOOD.index("[units.shop]")] + "[units]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"units: found no unit; expected at least one table \[units\.NAME\]"):
        read_portfolio(path)


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "business_units.toml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"there is no such file\. Did you mean business_units\.toml\?"):
        read_portfolio(tmp_path / "busines_units.toml")


def test_folder_instead_of_file(tmp_path):
    with pytest.raises(ConfigError, match="found a folder; expected a portfolio file such as"):
        read_portfolio(tmp_path)


def test_wrong_encoding_names_byte_and_line(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_bytes(GOOD.replace("Web shop", "Müller").encode("latin-1"))
    with pytest.raises(ConfigError, match="byte 0xfc in line 8 is not UTF-8; save the file with encoding UTF-8"):
        read_portfolio(path)
