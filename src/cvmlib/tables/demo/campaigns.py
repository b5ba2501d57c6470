"""The demo company's marketing programs and their true effects, which no model ever reads."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Campaign:
    """One program.

    Parameters
    ----------
    program_id, label, challenge, outcome, channel : str
        As in the table ``programs``; `outcome` is the intended one.
    months : int
        Months before the end of observation at which it started.
    cost : float
        Money per treated customer (or in all, where `reached` is 0).
    design : str
        ``drawn`` (at random), ``chosen`` (the best customers), ``all`` (nobody held back), ``unrecorded``, ``regions``.
    share : float
        Planned share of treated customers.
    reached : float
        Share of the eligible customers that are in the program.
    lift : float
        True effect, as a share of what customers spend untreated in the 90 days after the start.
    fault : str
        ``lost`` (treated customers who had not bought lately fell out of the record), ``lucky`` (the best-looking of
        several draws), or empty.
    kinds : tuple of str
        Activity counted for it.
    stirred : float
        How much that activity rises while it runs, as a share.
    paid : str
        Channel of ``media`` whose spend it varied; what is true of the channel and of the program agrees.
    """

    program_id: str
    label: str
    challenge: str
    outcome: str
    channel: str
    months: int
    cost: float
    design: str = "drawn"
    share: float = 0.5
    reached: float = 1.0
    lift: float = 0.0
    fault: str = ""
    kinds: tuple[str, ...] = ()
    stirred: float = 0.0
    paid: str = ""


FASHION = (
    Campaign("winback", "Win-back e-mail", "lifecycle", "retention", "email", 14, 0.25, share=0.7, lift=0.22,
             kinds=("views", "traffic"), stirred=0.10),
    Campaign("welcome", "Welcome series", "lifecycle", "activation", "email", 11, 0.40, share=0.8, lift=0.16,
             kinds=("views",), stirred=0.15),
    Campaign("catalogue", "Spring catalogue", "segment", "revenue", "post", 5, 2.80, lift=0.0,
             kinds=("traffic", "calls"), stirred=0.12, paid="print"),
    Campaign("bundles", "Outfit bundles", "function", "cross-sell", "web", 8, 0.60, lift=0.12,
             kinds=("views", "conversations"), stirred=0.08),
    Campaign("app", "App messages", "channel", "conversion", "app", 7, 0.15, lift=0.10, fault="lost",
             kinds=("views", "traffic"), stirred=0.20),
    Campaign("flash", "Flash sale trial", "function", "revenue", "social", 10, 1.50, reached=0.08, fault="lucky",
             kinds=("traffic",), stirred=0.25),
    Campaign("vip", "VIP early access", "segment", "up-sell", "email", 9, 1.20, design="chosen", reached=0.25,
             kinds=("views", "conversations"), stirred=0.05),
    Campaign("retargeting", "Retargeting ads", "channel", "conversion", "display", 12, 14_000.0, design="unrecorded",
             reached=0.0, kinds=("views", "traffic"), stirred=0.30),
    Campaign("influencers", "Influencers", "channel", "acquisition", "social", 6, 9_500.0, design="unrecorded",
             reached=0.0, kinds=("views", "conversations"), stirred=0.60, paid="social"),
)  # fmt: skip

GROCERY = (
    Campaign("points", "Double points", "segment", "revenue", "app", 9, 3.00, share=0.8, lift=0.05,
             kinds=("walk-ins",), stirred=0.04),
    Campaign("recipes", "Recipe magazine", "channel", "cross-sell", "post", 6, 4.50, lift=0.0,
             kinds=("walk-ins", "views"), stirred=0.02),
    Campaign("posters", "Posters around two stores", "channel", "acquisition", "outdoor", 3, 6_000.0, design="regions",
             reached=0.0, lift=0.10, kinds=("walk-ins",), stirred=0.06),
)  # fmt: skip

MOBILE = (
    Campaign("loyalty", "Loyalty call", "lifecycle", "retention", "telephone", 10, 0.30, lift=0.025,
             kinds=("calls", "conversations"), stirred=0.25),
    Campaign("upgrade", "Bigger plan offer", "function", "up-sell", "sms", 7, 0.90, share=0.65, lift=0.0,
             kinds=("conversations", "calls"), stirred=0.10),
    Campaign("renewal", "Renewal letter", "lifecycle", "retention", "post", 8, 1.10, design="all", reached=0.6,
             kinds=("calls",), stirred=0.15),
    Campaign("portal", "Self-service portal", "function", "activation", "web", 13, 22_000.0, design="unrecorded",
             reached=0.0, kinds=("traffic", "views"), stirred=0.40),
)  # fmt: skip

CAMPAIGNS: dict[str, tuple[Campaign, ...]] = {"fashion": FASHION, "grocery": GROCERY, "mobile": MOBILE}
