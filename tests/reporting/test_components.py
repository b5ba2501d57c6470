"""What a notebook shows: complete, escaped, safe in a spreadsheet, and the same bytes every time."""

import base64
import io
import re
from html import unescape

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cvmlib.reporting import audit, components, downloads, escape, figures, markdown, show, tables

EVIL = "<script>alert(1)</script>"
mpl.use("agg")


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "customer": [EVIL, "=1+1", "Anna"],
            "purchases": [12, 3, 40_000],
            "alive": [0.912, 0.4, np.nan],
            "value": [1234.5, -88.25, 10412.0],
            "last": pd.to_datetime(["2026-06-01", "2026-06-02", None]),
            "top": [True, False, True],
        }
    )


def csv_in(html):
    data = re.search(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', html).group(1)
    return base64.b64decode(data).decode("utf-8-sig")


def cells(html):
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh][ >].*?</t[dh]>", html)]


def plot():
    fig, ax = plt.subplots(figsize=(4, 3))
    ax.plot([1, 2, 3], [1, 4, 9])
    ax.fill_between([1, 2, 3], [0, 3, 8], [2, 5, 10], alpha=0.2)
    return fig


def test_table_sets_each_type_its_way(frame):
    html = tables.table_html(frame, "Customers", formats={"alive": "percent:1", "value": "money:2"})
    shown = cells(html)
    for text in ("40,000", "91.2%", "1,234.50", "−88.25", "2026-06-01", "yes", tables.MISSING):
        assert text in shown
    assert shown[:3] == ["customer", "purchases", "alive"]
    assert 'scope="row"' in html and 'scope="col"' in html


def test_table_escapes_cells_headings_titles_and_notes(frame):
    frame = frame.rename(columns={"purchases": EVIL, "alive": "{{x}} **b**"}).replace("Anna", "{{y}}")
    html = tables.table_html(frame, EVIL, note=EVIL)
    assert EVIL not in html and "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4
    assert {"{{x}} **b**", "{{y}}"} <= set(map(unescape, cells(html)))
    assert audit.find_faults(html) == []


def test_table_is_the_same_every_time(frame):
    assert tables.table_html(frame, "Customers") == tables.table_html(frame, "Customers")


def test_long_table_is_cut_and_says_so(frame):
    long = pd.DataFrame({"n": range(100)})
    html = tables.table_html(long, "Long")
    assert "25 of 100 rows shown, all of them in the CSV." in html
    assert len(csv_in(html).splitlines()) == 101
    assert "There are no rows." in tables.table_html(long.head(0), "None")


def test_csv_is_cut_at_its_limit_and_says_so(monkeypatch):
    monkeypatch.setattr(downloads, "LONGEST", 3)
    html = tables.table_html(pd.DataFrame({"n": range(10)}), "Long")
    assert "Download the first 3 of 10 rows as CSV" in html
    assert len(csv_in(html).splitlines()) == 4


def test_named_index_becomes_a_column():
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="kind"))
    assert cells(tables.table_html(frame, "T")) == ["kind", "n", "a", "1", "b", "2"]


def test_unknown_formats_are_refused(frame):
    with pytest.raises(ValueError, match="names the column 'price', but the table has customer, purchases"):
        tables.table_html(frame, "T", formats={"price": "money"})
    with pytest.raises(ValueError, match="format 'euro' of column 'value' is not one of text, integer"):
        tables.table_html(frame, "T", formats={"value": "euro"})


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "＝"])
def test_csv_text_cannot_become_a_formula(start):
    frame = pd.DataFrame({f"{start}name": [f"{start}HYPERLINK(1)", "fine"], "n": [-5, 3]})
    read = pd.read_csv(io.StringIO(downloads.csv_text(frame)), keep_default_na=False)
    assert read.columns[0].startswith("'")
    assert read.iloc[0, 0].startswith("'")
    assert read.iloc[1, 0] == "fine"
    assert list(read["n"]) == [-5, 3]


def test_csv_keeps_numbers_dates_and_categories(frame):
    frame["group"] = pd.Categorical(["@a", "b", "b"])
    text = downloads.csv_text(frame)
    assert "-88.25" in text and "'-88.25" not in text
    assert "2026-06-01," in text
    assert "'@a" in text and "'=1+1" in text


def test_figure_has_alternative_caption_table_and_csv():
    numbers = pd.DataFrame({"x": [1, 2, 3], "y": [1.0, 4.0, 9.0]})
    html = figures.figure_html(plot(), f"It grows {EVIL}", numbers, f"Growth {EVIL}", "growth")
    assert EVIL not in html
    assert 'alt="It grows &lt;script&gt;' in html and "<figcaption>Growth &lt;script&gt;" in html
    assert "Table of this figure" in html and 'download="growth.csv"' in html
    assert csv_in(html).splitlines() == ["x,y", "1,1.0", "2,4.0", "3,9.0"]
    assert audit.find_faults(html) == []


def test_figure_is_the_same_bytes_every_time():
    first, second = (figures.image_source(plot())[0] for _ in range(2))
    assert first == second
    svg = base64.b64decode(first.split(",")[1]).decode()
    assert "<dc:date>" not in svg


def test_heavy_figure_becomes_pixels_and_stays_the_same(monkeypatch):
    monkeypatch.setattr(figures, "LARGEST_SVG", 0)
    fig, ax = plt.subplots(figsize=(2, 2))
    ax.scatter(*np.random.default_rng(1).normal(size=(2, 3000)), s=2)
    source, width, height = figures.image_source(fig)
    assert source.startswith("data:image/png") and (width, height) == (192, 192)
    assert source == figures.image_source(fig)[0]


def test_figure_without_alternative_or_table_is_refused():
    with pytest.raises(ValueError, match="alternative text"):
        figures.figure_html(plot(), " ", pd.DataFrame({"x": [1]}))
    with pytest.raises(ValueError, match="table of its numbers"):
        figures.figure_html(plot(), "alt", None)


@pytest.mark.parametrize("level", components.LEVELS)
def test_verdict_names_its_level_in_words(level):
    html = components.verdict_html(level, f"Worth {EVIL}", "One.", EVIL)
    assert f"cvm-{level}" in html and f"Verdict: {components.LEVELS[level]}" in html
    assert EVIL not in html and html.count("<li>") == 2


def test_unknown_level_is_refused():
    with pytest.raises(ValueError, match="'good' of a verdict is not one of sound, caution, withheld, info"):
        components.verdict_html("good", "x")


def test_facts_are_pairs_of_label_and_value():
    html = components.facts_html({"Customers": 23568, EVIL: ("4.6 million EUR", EVIL)})
    assert "23,568" in html and html.count("<dt>") == 2 and EVIL not in html


@pytest.mark.parametrize(
    "name",
    [EVIL, "**bold**", "[x](javascript:alert(1))", "$x^2$", "a_b_c", "# head", "`code`", "<b>", "1. one", "a\n\nb"],
)
def test_name_in_prose_shows_letter_by_letter(name):
    html = components.prose_html(f"The best customer is {show.text(name)}, today.")
    inner = re.fullmatch(r'<div class="cvm cvm-prose"><p>(.*)</p></div>', html).group(1)
    assert "<" not in inner
    assert inner == f"The best customer is {escape.html(' '.join(name.split()))}, today.".replace("&#x27;", "'")


def test_prose_shows_html_as_text_and_formulas_as_mathml():
    html = components.prose_html(f"A {EVIL} and $x^2$ and <img src=x onerror=alert(1)>\n\n{EVIL}")
    assert "<script" not in html and "<img" not in html
    assert "<math" in html and "http" not in html


def test_links_to_the_web_are_written_out():
    html = markdown.render("[Fader 2005](https://doi.org/10.1287/mksc) and [here](summary.html) [bad](javascript:x)")
    assert 'Fader 2005 <span class="cvm-address">(doi.org/10.1287/mksc)</span>' in html
    assert '<a href="summary.html">here</a>' in html
    assert audit.find_faults(html) == []


def test_broken_formula_is_shown_as_code():
    assert markdown.formula("a_1_2") == "<code>a_1_2</code>"
    assert "<script" not in markdown.formula(EVIL)


def test_notes_fold_behind_their_title():
    assert components.note_html("Text").startswith("<aside")
    assert "<summary>&lt;script&gt;" in components.note_html("Text", EVIL)


def test_show_displays_html_and_words_and_closes_the_figure(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    show.verdict("sound", "All is well.")
    show.facts({"Customers": 3})
    show.prose("Text.")
    show.note("Text.")
    show.table(pd.DataFrame({"n": [1]}), "Numbers")
    fig = plot()
    show.figure(fig, "It grows.", pd.DataFrame({"n": [1]}))
    assert [data["text/plain"] for data in shown] == [
        "Sound: All is well.", "Headline numbers: Customers", "Text.", "Text.", "Table: Numbers", "Figure: It grows.",
    ]  # fmt: skip
    assert all(data["text/html"].startswith('<style class="cvm-style">') for data in shown)
    assert not plt.fignum_exists(fig.number)


def test_slug_is_safe_for_files_and_anchors():
    assert escape.slug("Größe <b>/../x") == "groe-b-x"
    assert escape.slug("日本", "table") == "table"
    assert len(escape.slug("x" * 200)) == 60
