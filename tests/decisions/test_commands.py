"""``cvm score`` and ``cvm rerun``: what goes in and comes out, and what is refused."""

import json

import pytest
from typer.testing import CliRunner

from cvmlib.cli import app
from tests.decisions.shops import open_shop


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return open_shop(tmp_path_factory.mktemp("cli") / "shop").path


def call(*arguments, text=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def test_a_stream_is_scored_line_by_line(config):
    text = "\n".join(json.dumps({"customer_id": f"C000{n}", "date": "2026-07-01", "value": 20}) for n in range(3))
    done = call("score", "-", "--config", config, text=text)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0 and [one["customer_id"] for one in lines] == ["C0000", "C0001", "C0002"]
    assert all(one["value"] > 0 and 0 < one["probability_alive"] <= 1 for one in lines)


def test_csv_comes_as_a_stream_too(config):
    done = call("score", "-", "--config", config, text="customer_id,date,value\nC0004,2026-07-01,9.5\n")
    assert json.loads(done.stdout)["customer_id"] == "C0004"


def test_unknown_customer_ends_with_exit_code_3(config, tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("customer_id,date,value\nNOBODY,2026-07-01,3\n")
    done = call("score", path, "--config", config)
    assert done.exit_code == 3 and 'event 1: customer_id "NOBODY"' in done.stderr
    missing = call("score", tmp_path / "none.csv", "--config", config)
    assert missing.exit_code == 3 and "there is no such file" in missing.stderr


def test_unknown_unit_and_day_are_refused(config):
    done = call("score", "-", "--unit", "other", "--config", config, text="")
    assert done.exit_code == 2 and "There is no unit 'other'. The units are shop." in done.stderr
    late = call("rerun", "--as-of", "2030-01-01", "--config", config)
    assert late.exit_code == 2 and "expected a day before the end of observation" in late.stderr
