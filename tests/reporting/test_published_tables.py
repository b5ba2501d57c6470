"""Print beside what is found: rounding, what does not match, and the command that makes one notebook a page."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from cvmlib.cli import app
from cvmlib.errors import DataError
from cvmlib.reporting import published_tables

HEAD = "section,table,figure,printed,source\n"


@pytest.fixture
def published(tmp_path) -> pd.DataFrame:
    path = tmp_path / "print.csv"
    path.write_text(HEAD + "s,M,r,0.630,A\ns,M,log-likelihood,-9595.0,A\ns,N,share,4,B\n")
    return published_tables.read_published(path)


def keyed(*values: float) -> dict:
    return dict(zip((("s", "M", "r"), ("s", "M", "log-likelihood"), ("s", "N", "share")), values, strict=True))


def test_figures_are_rounded_to_the_digits_printed(published):
    compared = published_tables.compare(published, keyed(0.63049, -9594.96, 3.4))
    assert compared["here"].tolist() == ["0.630", "-9595.0", "3"]
    assert compared["difference"].tolist() == ["0", "0", "-1"]
    compared = published_tables.compare(published, keyed(0.6294, -9594.94, 4.5))
    assert compared["difference"].tolist() == ["-0.001", "+0.1", "0"]


@pytest.mark.parametrize(
    ("values", "level", "words"),
    [
        ((0.63, -9595.0, 4.0), "sound", "All 3 published figures are reproduced to every printed digit."),
        ((0.631, -9595.0, 4.0), "sound", "Of 3 published figures, 2 are reproduced to every printed digit; the others"),
        ((0.632, -9595.0, 4.0), "caution", "Of 3 published figures, 2 are reproduced to every printed digit."),
    ],
)
def test_the_verdict_tells_a_last_digit_from_more(published, monkeypatch, values, level, words):
    said = []
    monkeypatch.setattr(published_tables.show, "verdict", lambda *parts: said.append(parts))
    published_tables.show_verdict(published_tables.compare(published, keyed(*values)))
    assert said[0][0] == level and said[0][1].startswith(words)
    assert len(said[0]) == 2 + (values[0] != 0.63)


def test_what_is_not_on_both_sides_is_an_error(published):
    found = keyed(0.63, -9595.0, 4.0)
    with pytest.raises(DataError, match=r"do not match one to one. Unlike are: s, M, r\."):
        published_tables.compare(published, {key: value for key, value in found.items() if key[2] != "r"})
    with pytest.raises(DataError, match="Unlike are: s, M, x"):
        published_tables.compare(published, found | {("s", "M", "x"): 1.0})
    with pytest.raises(DataError, match="Unlike are: s, M, r"):
        published_tables.compare(pd.concat([published, published.head(1)]), found)


def test_an_unusable_table_of_print_is_an_error(tmp_path):
    path = tmp_path / "print.csv"
    with pytest.raises(DataError, match=r"print\.csv, is not in"):
        published_tables.read_published(path)
    path.write_text("table,figure\n")
    with pytest.raises(DataError, match="has the columns table, figure; expected are section, table, figure, printed"):
        published_tables.read_published(path)
    path.write_text(HEAD + "s,M,r,0.63,A\ns,M,a,,A\ns,M,b,about 2,A\n")
    with pytest.raises(DataError, match="has 2 rows without a number or a source, in line 3, 4"):
        published_tables.read_published(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.ipynb"], "There is no notebook none.ipynb."),
        (
            ["examples/published_tables.ipynb", "--set", "donation=x"],
            "no parameter donation; its parameters are: config,",
        ),
        (["examples/published_tables.ipynb", "--set", "donations"], "--set donations is not of the form NAME=VALUE."),
    ],
)
def test_mistakes_on_the_command_line_are_told(arguments, message):
    result = CliRunner().invoke(app, ["page", *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_refits_are_not_counted_as_published(published, monkeypatch):
    said = []
    monkeypatch.setattr(published_tables.show, "verdict", lambda *parts: said.append(parts))
    monkeypatch.setattr(published_tables.show, "facts", said.append)
    compared = published_tables.compare(published.assign(source=["A", "refit", "B"]), keyed(0.63, -9594.0, 4.0))
    published_tables.show_verdict(compared)
    published_tables.show_facts(compared)
    assert said[0][0] == "caution" and said[0][1].startswith("All 2 published figures are reproduced")
    assert said[0][2] == "M, log-likelihood: refit -9595.0, here -9594.0."
    assert said[1] == {
        "Published figures": 2,
        "Reproduced to every digit": 2,
        "Independent refits reproduced": "0 of 1",
    }
