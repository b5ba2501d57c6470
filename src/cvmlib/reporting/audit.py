"""The last look at a page before it is written: it must stand alone, without scripts and without the network."""

import re
from html.parser import HTMLParser

_RUNS = {"script", "iframe", "object", "embed", "applet", "base", "form", "audio", "video", "source", "frame"}
_ADDRESSES = {"src", "href", "srcset", "action", "poster", "data", "background", "xlink:href", "formaction", "ping"}
_REMOTE = re.compile(r"^\s*(?!data:|#)(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
_CSS_ADDRESS = re.compile(r"@import|url\(\s*['\"]?(?!data:|#)", re.IGNORECASE)


def find_faults(html: str) -> list[str]:
    """Return what keeps a page from standing alone: scripts, handlers, remote addresses, images without alternative."""
    auditor = _Auditor()
    auditor.feed(html)
    auditor.close()
    return auditor.faults


class _Auditor(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        if tag in _RUNS or (tag == "meta" and dict(attrs).get("http-equiv")):
            self.faults.append(f"a <{tag}> element")
        for name, value in attrs:
            if name.startswith("on"):
                self.faults.append(f"a script in the attribute {name} of <{tag}>")
            elif name in _ADDRESSES and _REMOTE.match(value or ""):
                self.faults.append(f"the address {(value or '')[:60]!r} of <{tag}>, which is outside the page")
            elif name == "style" and _CSS_ADDRESS.search(value or ""):
                self.faults.append(f"a style of <{tag}> that loads a file")
        if tag == "img" and not dict(attrs).get("alt"):
            self.faults.append("an <img> without alternative text")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style and _CSS_ADDRESS.search(data):
            self.faults.append("a style sheet that loads a file")
