"""One Spark session in local mode, and the demo company both engines read."""

import os
import shutil
from pathlib import Path

import ibis
import pytest

from cvmlib.portfolio import read_portfolio
from cvmlib.tables.demo.write import simulate

ROOT = Path(__file__).parents[2]
SCALE = 0.5

# Raised inside pyspark 4.0, on purpose or not: sockets left to the garbage collector, and pandas options of old.
THIRD_PARTY_WARNINGS = [
    "ignore:unclosed:ResourceWarning",
    "ignore:The copy keyword is deprecated:DeprecationWarning",
]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in THIRD_PARTY_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """Ibis connection to Spark, on this machine only: loopback address, no web page, temporary files."""
    sql = pytest.importorskip("pyspark.sql", reason="make test-spark installs pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17 or newer on PATH")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    folder = tmp_path_factory.mktemp("spark")
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.shuffle.partitions": "2",
        "spark.log.level": "ERROR",
    }
    builder = sql.SparkSession.builder.master("local[2]").appName("cvmlib tests")
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield ibis.pyspark.connect(session)
    session.stop()


@pytest.fixture(scope="session")
def duckdb():
    """Ibis connection to embedded DuckDB."""
    con = ibis.duckdb.connect()
    con.raw_sql("SET TimeZone = 'UTC'")
    return con


@pytest.fixture(scope="session")
def portfolio(tmp_path_factory):
    """The demo company, in a folder of its own."""
    folder = tmp_path_factory.mktemp("company")
    simulate(folder / "data" / "demo", scale=SCALE, seed=1)
    return read_portfolio(shutil.copy(ROOT / "business_units.toml", folder))
