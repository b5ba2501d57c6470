"""Write pareto_nbd.json: log-likelihoods of the Pareto/NBD and their gradients in multiple precision.

Run ``python tests/clv/references/make_pareto_nbd.py`` (mpmath; some minutes). Each value is found twice, by the
hypergeometric function and by quadrature of the integral over the dropout time, which must agree to 20 digits.
"""

import itertools
import json
import random
from pathlib import Path

import mpmath
from mpmath import mp, mpf

PLACE = Path(__file__).with_suffix("").with_name("pareto_nbd.json")
COLUMNS = ["frequency", "recency", "T", "r", "alpha", "s", "beta", "log_likelihood"]
BY = ["by_log_r", "by_log_alpha", "by_log_s", "by_log_beta"]


def front(x, r, alpha, s, beta):
    """Logarithm of what stands before the bracket."""
    return mpmath.loggamma(r + x) - mpmath.loggamma(r) + r * mpmath.log(alpha) + s * mpmath.log(beta)


def by_hypergeometric(x, t_x, T, r, alpha, s, beta):
    n = r + x

    def at(t):
        p, q = alpha + t, beta + t
        return p**-n * q**-s, s / (n + s) * mpmath.hyp2f1(1, n, n + s + 1, 1 - q / p)

    (early, left), (late, leaves) = at(t_x), at(T)
    return front(x, r, alpha, s, beta) + mpmath.log(late + early * left - late * leaves)


def by_quadrature(x, t_x, T, r, alpha, s, beta):
    n = r + x
    late = (alpha + T) ** -n * (beta + T) ** -s
    first, span = (alpha + t_x) ** -n * (beta + t_x) ** -(s + 1), T - t_x

    def relative(v):  # at most 1, since quad aims at an absolute error
        t = t_x + span * v
        return ((alpha + t_x) / (alpha + t)) ** n * ((beta + t_x) / (beta + t)) ** (s + 1)

    parts = [0] + [mpf(2) ** -k for k in range(70, -1, -1)]
    with mpmath.workdps(32):
        integral = first * span * mpmath.quad(relative, parts) if span else mpf(0)
    return front(x, r, alpha, s, beta) + mpmath.log(late + s * integral)


def cases():
    """Corners of the range, then draws from all of it; alpha and beta are multiples of T."""
    ends, sizes = (1e-3, 1e3), (1e-4, 1e4)
    corners = [(r, s, a, b) for r, s in itertools.product(ends, ends) for a, b in itertools.product(sizes, sizes)]
    corners += [(0.5, 1.0, 1.0, 1.0), (1.0, 2.0, 0.5, 0.3), (0.55, 0.6, 0.27, 0.3), (3.0, 1.0, 0.2, 2.0)]
    random.seed(1)
    draws = [[10 ** random.uniform(-top, top) for top in (3, 3, 4, 4)] for _ in range(200)]
    for r, s, a, b in corners + draws:
        x = random.choice([0, 0, 1, 2, 3, 7, 20, 60, 250, 1000])
        T = random.choice([1e-6, 1.0, 39.0, 730.0, 1e4])
        t_x = T * random.choice([1e-6, 0.03, random.random(), random.random(), 1 - 1e-3, 1 - 1e-10, 1.0]) if x else 0.0
        yield x, t_x, T, r, a * T, s, b * T


def main() -> None:
    rows = []
    for case in cases():
        exact = [mpf(v) for v in case]
        mp.dps = 60
        value = by_hypergeometric(*exact)
        if abs(by_quadrature(*exact) - value) > mpf(10) ** -20 * (1 + abs(value)):
            raise ArithmeticError(f"the two ways disagree for {case}")

        def of_logs(*logs, counts=exact[:3]):
            return by_hypergeometric(*counts, *map(mpmath.exp, logs))

        logs = tuple(mpmath.log(v) for v in exact[3:])
        slopes = [mpmath.diff(of_logs, logs, tuple(int(i == j) for j in range(4))) for i in range(4)]
        rows.append([*case, float(value), *map(float, slopes)])
    lines = ",\n".join(json.dumps(row) for row in rows)
    PLACE.write_text(f'{{"columns": {json.dumps(COLUMNS + BY)},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
