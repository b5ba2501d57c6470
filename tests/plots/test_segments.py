import pandas as pd

from cvmlib.plots.segments import payback_curves, type_square


def test_types_have_their_field_and_their_shares():
    frame = pd.DataFrame({"type": ["gold", "burden"], "customer_share": [0.1, 0.9], "value_share": [0.7, 0.3]})
    ax = type_square(frame)
    assert [patch.get_xy() for patch in ax.patches] == [(1, 1), (0, 0)]
    assert [text.get_text() for text in ax.texts] == [
        "Gold", "10% of customers\n70% of the value ahead", "Burden", "90% of customers\n30% of the value ahead"
    ]  # fmt: skip
    assert type_square(pd.DataFrame()).texts[0].get_text() == "No customer can be told by type."


def test_channels_pay_back_in_lines_of_their_own():
    frame = pd.DataFrame(
        {"channel": ["all", "all", "web"], "month": [1, 6, 1], "paid": [0.2, 0.8, 0.3], "low": 0.1, "high": 0.9}
    )
    ax = payback_curves(frame)
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.0, 0.2, 0.8], [0.0, 0.3]]
    assert {text.get_text() for text in ax.texts} == {"all", "web"}
    assert payback_curves(pd.DataFrame()).texts[0].get_text() == "Nobody was followed long enough."
