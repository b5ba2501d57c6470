"""Make text that comes from data safe in HTML, in Markdown, in file names and in spreadsheets."""

import html as _html
import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~^$<>&:=@\"'/])")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def html(value: object) -> str:
    """Return `value` as text that is safe inside an HTML element or a quoted attribute."""
    return _html.escape(str(value), quote=True)


def markdown(value: object) -> str:
    """Return `value` as text that Markdown shows letter by letter: no markup, no link, no formula, no HTML."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))


def spreadsheet(value: object) -> object:
    """Return a CSV cell that a spreadsheet will not run as a formula.

    Text that starts with ``= + - @`` (also after blanks, or in full width) or with a control character gets a leading
    apostrophe, and a carriage return becomes a line feed. Numbers and other non-text values are returned unchanged.
    """
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    if value.lstrip().startswith(_FORMULA) or value[:1] in ("\t", "\n"):
        return "'" + value
    return value


def slug(value: object, default: str = "item") -> str:
    """Return a name for files and anchors made of lower-case letters, digits and hyphens, else `default`."""
    plain = unicodedata.normalize("NFKD", str(value)).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or default
