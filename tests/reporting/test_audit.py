"""A page that needs a script or the network is found out; one that stands alone passes."""

import pytest

from cvmlib.reporting.audit import find_faults


@pytest.mark.parametrize(
    "html",
    [
        "<script>x</script>", "<SCRIPT src='a.js'></SCRIPT>", "<img src='https://a.b/c.png' alt='x'>",
        "<img src='//a.b/c.png' alt='x'>", "<a href='https://a.b'>x</a>", "<a href='javascript:alert(1)'>x</a>",
        "<p onclick='x()'>x</p>", "<iframe src='x'></iframe>", "<style>@import 'a.css';</style>",
        "<style>p { background: url(http://a.b/c) }</style>", "<p style='background:url(//a.b/c)'>x</p>",
        "<img src='data:image/png;base64,AA'>", "<meta http-equiv='refresh' content='0'>", "<form></form>",
        "<link rel='stylesheet' href='http://a.b/c.css'>", "<svg><a xlink:href='http://a.b'></a></svg>",
        "<base href='http://a.b/'>",
    ],
)  # fmt: skip
def test_faults_are_found(html):
    assert find_faults(f"<main>{html}</main>")


@pytest.mark.parametrize(
    "html",
    [
        "<p>&lt;script&gt; https://a.b</p>", "<a href='fashion/value.html'>x</a>", "<a href='#content'>x</a>",
        "<img src='data:image/png;base64,AA' alt='A line that rises.'>", "<style>p { color: red }</style>",
        "<a download='x.csv' href='data:text/csv;base64,AA'>x</a>", "<details><summary>Code</summary></details>",
    ],
)  # fmt: skip
def test_what_stands_alone_passes(html):
    assert find_faults(html) == []
