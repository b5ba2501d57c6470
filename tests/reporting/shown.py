"""What a reader sees of a page's parts: their text, their prose, their tables, and the numbers in each."""

import base64
import html
import io
import math
import re
from dataclasses import dataclass
from html.parser import HTMLParser

import pandas as pd
import pytest

from cvmlib.reporting import figures, show

HOSTILE = "<script>alert(1)</script>"
TRICKY = "**Fat** _cat_ $x^2$ & $5 [a](http://b.c) `code`"
SCALES = {"billion": 1e9, "million": 1e6, "thousand": 1e3}
_NUMBER = re.compile(r"(−?\d[\d,]*\.?\d*)(%?)")


@dataclass
class Shown:
    """All that was shown, as HTML."""

    parts: list[str]

    @property
    def markup(self) -> str:
        """The HTML of all parts."""
        return "\n".join(self.parts)

    @property
    def text(self) -> str:
        """Everything a reader can read, tables and alternative texts too, in one line."""
        return plain(self.markup, alternatives=True)

    @property
    def prose(self) -> str:
        """What is said outside tables."""
        return plain(re.sub(r"<table.*?</table>|<p class=\"cvm-under\">.*?</p>", " ", self.markup, flags=re.DOTALL))

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables behind the CSV links, by file name."""
        return csv_tables(self.markup)

    @property
    def images(self) -> list[str]:
        """The alternative texts of the figures."""
        return [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', self.markup)]


def capture(monkeypatch: pytest.MonkeyPatch, draw: bool = False) -> Shown:
    """Collect what `cvmlib.reporting.show` shows from now on; figures are made, but written only with `draw`."""
    seen = Shown([])
    monkeypatch.setattr(show, "_show", lambda markup, plain: seen.parts.append(markup))
    if not draw:
        monkeypatch.setattr(figures, "image_source", lambda fig: ("data:image/png;base64,", 600, 400))
    return seen


class _Reader(HTMLParser):
    def __init__(self, alternatives: bool) -> None:
        super().__init__()
        self.words: list[str] = []
        self._alternatives, self._skipped = alternatives, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped = tag == "style"
        if self._alternatives and dict(attrs).get("alt"):
            self.words.append(dict(attrs)["alt"])
        self.words.append("" if tag in ("b", "strong", "em", "span", "code", "a") else " ")

    def handle_endtag(self, tag: str) -> None:
        self._skipped = False

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.words.append(data)


def plain(markup: str, alternatives: bool = False) -> str:
    """Return the text of HTML in one line, with `alternatives` the alternative texts of images too."""
    reader = _Reader(alternatives)
    reader.feed(markup)
    reader.close()
    return re.sub(r"\s+", " ", "".join(reader.words)).strip()


def csv_tables(markup: str) -> dict[str, pd.DataFrame]:
    """Return the tables behind the CSV links of a page, by file name."""
    links = re.findall(r'download="([^"]+)" href="data:text/csv;charset=utf-8;base64,([^"]+)"', markup)
    texts = {name: base64.b64decode(data).decode("utf-8-sig") for name, data in links}
    return {name: pd.read_csv(io.StringIO(text)) for name, text in texts.items()}


def untraced(text: str, sources: list[object]) -> list[str]:
    """Return the numbers in words that no number of `sources` gives when it is rounded to as many digits."""
    known = [number for source in sources for number in _numbers(source)]
    found = []
    for match in _NUMBER.finditer(_without_dates(text)):
        token = match.group(1).rstrip(".,").replace(",", "").replace("−", "-")
        step = 10.0 ** -(len(token.partition(".")[2]))
        if "." not in token and token.endswith("0"):
            step = 10.0 ** (len(token) - len(token.rstrip("0")))
        after = text[match.end() : match.end() + 60] if match.group(2) == "" else ""
        scales = [0.01] if match.group(2) else [1.0, *(v for name, v in SCALES.items() if name in f"{after} {text}")]
        if not any(abs(float(token) - number / scale) <= 0.5001 * step for number in known for scale in scales):
            found.append(match.group(0))
    return found


def money_forms(value: float) -> set[str]:
    """Return how an amount may be written: whole or with decimals, in thousands or millions, with separators or not."""
    forms = set()
    for scale in (1.0, *SCALES.values()):
        for places in range(0, 4):
            scaled = value / scale
            if abs(scaled) >= 10 or places:
                forms |= {f"{scaled:,.{places}f}", f"{scaled:.{places}f}"}
    for digits in (2, 3, 4):
        forms.add(f"{float(f'{value:.{digits}g}'):,.0f}")
    return {form for form in forms if len(form.strip("0.,")) >= 3}


def _without_dates(text: str) -> str:
    months = "January|February|March|April|May|June|July|August|September|October|November|December"
    text = re.sub(rf"\b\d{{1,2}} ({months}) \d{{4}}\b", " ", text)
    return re.sub(r"\d{4}-\d\d-\d\d|\b[A-Z]\w*\d+\w*", " ", text)


def _numbers(source: object) -> list[float]:
    if isinstance(source, pd.DataFrame):
        return [float(value) for name in source.select_dtypes("number") for value in source[name].dropna()]
    if isinstance(source, dict):
        return [number for value in source.values() for number in _numbers(value)]
    if isinstance(source, list | tuple):
        return [number for value in source for number in _numbers(value)]
    if isinstance(source, bool) or not isinstance(source, int | float) or not math.isfinite(source):
        return []
    return [float(source)]
