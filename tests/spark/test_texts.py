"""Texts are stripped of the same space by both engines, and of nothing else."""

import pandas as pd

from cvmlib.tables.texts import is_padded, strip

TEXTS = [" v12 ", "v", "Genf", "fv\t", "\r\nvif\n", "a b", "", "  "]
STRIPPED = ["v12", "v", "Genf", "fv", "vif", "a b", "", ""]


def test_space_is_taken_and_letters_are_not(spark, duckdb, tmp_path):
    path = str(tmp_path / "texts.parquet")
    pd.DataFrame({"row": range(len(TEXTS)), "text": TEXTS}).to_parquet(path)
    for engine in (duckdb, spark):
        table = engine.read_parquet(path)
        found = table.select("row", stripped=strip(table.text), padded=is_padded(table.text)).to_pandas()
        found = found.sort_values("row")
        assert list(found["stripped"]) == STRIPPED
        assert list(found["padded"]) == [text != stripped for text, stripped in zip(TEXTS, STRIPPED, strict=True)]
