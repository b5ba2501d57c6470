"""The small parts of a page: verdict, headline numbers, prose and notes."""

from collections.abc import Mapping

from cvmlib.reporting import escape, markdown

LEVELS = {"sound": "Sound", "caution": "With caution", "withheld": "Withheld", "info": "Note"}
MARKS = {"sound": "✓", "caution": "!", "withheld": "✕", "info": "i"}


def verdict_html(level: str, headline: str, *sentences: str, label: str = "") -> str:
    """Return the banner that opens a page.

    Parameters
    ----------
    level : str
        ``"sound"``, ``"caution"``, ``"withheld"`` or ``"info"``: how far the conclusion can be trusted.
    headline : str
        The conclusion in one sentence, plain text.
    *sentences : str
        Reasons, plain text; one is a paragraph, several are a list.
    label : str
        Words for the level instead of the usual ones.

    Raises
    ------
    ValueError
        For an unknown level.
    """
    if level not in LEVELS:
        raise ValueError(f"The level {level!r} of a verdict is not one of {', '.join(LEVELS)}.")
    texts = [escape.html(text) for text in sentences if text]
    reasons = f"<p>{texts[0]}</p>" if len(texts) == 1 else "".join(f"<li>{text}</li>" for text in texts)
    if len(texts) > 1:
        reasons = f"<ul>{reasons}</ul>"
    return (
        f'<section class="cvm cvm-verdict cvm-{level}" aria-label="Verdict: {escape.html(label or LEVELS[level])}">'
        f'<p class="cvm-level"><span class="cvm-mark" aria-hidden="true">{MARKS[level]}</span>'
        f"{escape.html(label or LEVELS[level])}</p>"
        f'<p class="cvm-headline">{escape.html(headline)}</p>{reasons}</section>'
    )


def facts_html(facts: Mapping[str, object]) -> str:
    """Return headline numbers as tiles.

    Parameters
    ----------
    facts : mapping
        Label to value, or to a pair of value and remark. Integers get thousands separators; other values are shown as
        they are, so say floats in words first.
    """
    return f'<dl class="cvm cvm-facts">{"".join(_tile(label, value) for label, value in facts.items())}</dl>'


def prose_html(text: str) -> str:
    """Return Markdown as paragraphs; HTML inside it is shown as text."""
    return f'<div class="cvm cvm-prose">{markdown.render(text)}</div>'


def note_html(text: str, title: str = "") -> str:
    """Return a remark set apart from the running text, in Markdown, folded behind its title if there is one."""
    body = markdown.render(text)
    if not title:
        return f'<aside class="cvm cvm-note">{body}</aside>'
    return f'<details class="cvm cvm-note"><summary>{escape.html(title)}</summary>{body}</details>'


def _tile(label: str, value: object) -> str:
    value, remark = value if isinstance(value, tuple) else (value, "")
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:,}"
    more = f'<dd class="cvm-remark">{escape.html(remark)}</dd>' if remark else ""
    return f'<div><dt>{escape.html(label)}</dt><dd class="cvm-value">{escape.html(value)}</dd>{more}</div>'
