"""The lifecycle map's default: which stage a channel and its content serve, and what the contact is for.

A touch takes its stage and purpose from its own columns where they are filled, else from the portfolio file, else from
the words in its channel and content. Channels that none of this places have no stage, and the report says so.
"""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

STAGES = ("discover", "explore", "engage", "buy")
PURPOSES = ("educate", "engage")
UNPLACED = "not placed"

DEFAULT_STAGES: tuple[tuple[str, str], ...] = (
    (
        r"(brand(ed)?\W*(search|sea|ppc|keyword)|(search|sea|ppc)\W*brand|(^|\W)(direct|checkout|basket|cart|coupon"
        r"|voucher|store|shop ?visit|till|call ?cent))",
        "buy",
    ),
    (
        r"(e-?mail|newsletter|crm|sms|push|in-?app|(^|\W)app($|\W)|loyal|club|retarget|remarket|chat|webinar|trial"
        r"|demo)",
        "engage",
    ),
    (
        r"(search|seo|sea($|\W)|ppc|organic|adwords|compar|review|blog|content|guide|affiliat|referr|partner|price)",
        "explore",
    ),
    (
        r"(display|banner|programmatic|video|youtube|tv($|\W)|televis|radio|audio|podcast|print|outdoor|ooh"
        r"|billboard|social|facebook|instagram|tiktok|pinterest|influenc|sponsor|cinema|event|press)",
        "discover",
    ),
)
"""Patterns over the channel and its content in small letters, the first that matches counting."""

DEFAULT_PURPOSES: tuple[tuple[str, str], ...] = (
    (r"(offer|sale|discount|deal|coupon|voucher|basket|cart|reminder|retarget|remarket|loyal|club|personal)", "engage"),
    (
        r"(guide|blog|story|stories|how ?to|review|compar|video|webinar|content|news|tv($|\W)|print|press|search|seo)",
        "educate",
    ),
    (r"(e-?mail|newsletter|crm|sms|push|app($|\W)|social|direct|store|chat|affiliat|referr)", "engage"),
    (r".", "educate"),
)
"""Patterns as for the stages; the last one places whatever is left."""


def place_touches(
    touches: ir.Table, stages: Mapping[str, str] | None = None, purposes: Mapping[str, str] | None = None
) -> ir.Table:
    """Give every touch a stage and a purpose.

    Parameters
    ----------
    touches : ibis Table
        channel; optionally content, stage and purpose.
    stages, purposes : mapping of str to str, optional
        ``"channel"`` or ``"channel/content"`` to a stage or purpose; upper and lower case do not count.

    Returns
    -------
    ibis Table
        The same rows, with ``stage`` (one of `STAGES` or "not placed") and ``purpose`` (one of `PURPOSES`).
    """
    channel = touches.channel.lower()
    content = touches.content.fill_null("").lower() if "content" in touches.columns else ibis.literal("")
    placed = {}
    for name, allowed, stated, defaults in (
        ("stage", STAGES, stages or {}, DEFAULT_STAGES),
        ("purpose", PURPOSES, purposes or {}, DEFAULT_PURPOSES),
    ):
        conditions = []
        if name in touches.columns:
            conditions = [(touches[name].lower() == value, value) for value in allowed]
        conditions += _stated(channel, content, stated)
        text = channel + " " + content
        conditions += [(text.re_search(pattern), value) for pattern, value in defaults]
        placed[name] = ibis.cases(*conditions, else_=UNPLACED)
    return touches.mutate(**placed)


def _stated(channel: ir.StringValue, content: ir.StringValue, stated: Mapping[str, str]) -> list:
    """Conditions of the portfolio file, those that name a content before those that do not."""
    both = [(key.lower(), value) for key, value in stated.items()]
    conditions = [(channel + "/" + content == key, value) for key, value in both if "/" in key]
    return conditions + [(channel == key, value) for key, value in both]
