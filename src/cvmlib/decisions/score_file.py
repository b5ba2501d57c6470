"""Scoring a file or a stream: customers or events in, one line of scores out for each."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from cvmlib.decisions.scorer import Scorer, Scores
from cvmlib.errors import DataError

FORMATS = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet"}
BATCH = 10_000


def read_events(source: Path | TextIO) -> Iterator[dict[str, Any]]:
    """Read events one by one: of a file by its ending (CSV, JSON lines, Parquet), of a stream by its first line.

    Parameters
    ----------
    source : Path or text stream
        With customer_id and, for events, date and what happened; see `cvmlib.decisions.scorer.Scorer.update`.

    Raises
    ------
    DataError
        There is no such file, its ending is unknown, or a line cannot be read.
    """
    if not isinstance(source, Path):
        yield from _read_lines(source)
        return
    if not source.is_file():
        raise DataError(f"{source}: there is no such file.")
    kind = FORMATS.get(source.suffix.lower())
    if kind is None:
        raise DataError(f"{source}: found the ending {source.suffix!r}; expected one of {', '.join(FORMATS)}.")
    if kind == "parquet":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(source).iter_batches(BATCH):
            yield from batch.to_pylist()
        return
    with source.open(encoding="utf-8-sig", newline="") as stream:
        yield from csv.DictReader(stream) if kind == "csv" else _read_json(stream, 1)


def _read_lines(stream: TextIO) -> Iterator[dict[str, Any]]:
    """Read a stream of JSON lines, or of CSV with a heading."""
    first = stream.readline()
    if first.lstrip().startswith("{"):
        yield from _read_json([first], 1)
        yield from _read_json(stream, 2)
    elif first.strip():
        yield from csv.DictReader(stream, fieldnames=next(csv.reader([first.lstrip("\ufeff")])))


def _read_json(lines: Iterable[str], number: int) -> Iterator[dict[str, Any]]:
    for place, line in enumerate(lines, number):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise DataError(
                f'line {place}: found "{line.strip()[:60]}"; expected a JSON object such as {{"customer_id": …}}.'
            )
        yield event


def score_events(scorer: Scorer, events: Iterable[dict[str, Any]], keep_going: bool = False) -> Iterator[Scores]:
    """Score every event; a row without a date is a customer to be scored as he is.

    Parameters
    ----------
    scorer : Scorer
        The unit's.
    events : iterable of dict
        From `read_events`.
    keep_going : bool
        Tell what is wrong with an event in its line (``error``) and go on, instead of stopping.

    Raises
    ------
    DataError
        An event cannot be scored; the message names its place.
    """
    for place, event in enumerate(events, 1):
        try:
            dated = event.get("date") not in (None, "")
            yield scorer.update(event) if dated else scorer.score(str(event.get("customer_id", "")))
        except DataError as error:
            if not keep_going:
                raise DataError(f"event {place}: {error}") from None
            yield {"customer_id": str(event.get("customer_id", "")), "error": str(error)}


def write_scores(scores: Iterable[Scores], target: Path | TextIO) -> int:
    """Write scores by the ending of a file (CSV, JSON lines, Parquet), or as JSON lines to a stream, one by one.

    Returns
    -------
    int
        How many.
    """
    if not isinstance(target, Path):
        count = 0
        for one in scores:
            target.write(json.dumps(one) + "\n")
            target.flush()
            count += 1
        return count
    kind = FORMATS.get(target.suffix.lower())
    if kind is None:
        raise DataError(f"{target}: found the ending {target.suffix!r}; expected one of {', '.join(FORMATS)}.")
    if kind == "json":
        with target.open("w", encoding="utf-8") as stream:
            return write_scores(scores, stream)
    import pandas as pd

    rows = [one | {"triggers": ", ".join(one.get("triggers", []))} for one in scores]
    frame = pd.DataFrame(rows)
    if kind == "parquet":
        frame.to_parquet(target, index=False)
    else:
        text = io.StringIO()
        frame.to_csv(text, index=False, lineterminator="\n")
        target.write_text(text.getvalue(), encoding="utf-8")
    return len(frame)
