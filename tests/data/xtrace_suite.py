"""Reference values of tests/panel.rs: mean |error| / |trace| of Girard-Hutchinson, Hutch++ and XTrace.

n = 1000, diagonal A, probes on the sphere. XTrace in the form of its authors for any square A (Epperly, Tropp,
Webber, SIMAX 45:1, 2024, algorithm in section 2), Hutch++ with m/3 vectors each. Usage: python xtrace_suite.py 400
"""

import sys

import numpy as np

N, TRIALS = 1000, int(sys.argv[1])
I = np.arange(N)
SPECTRA = {
    "flat": np.linspace(3, 1, N),
    "poly": (I + 1.0) ** -2,
    "0.9": 0.9**I,
    "0.7": 0.7**I,
    "step": np.where(I < 50, 1.0, 1e-3),
    "-0.9": (-0.9) ** I,
}
rng = np.random.default_rng(0)


def sphere(k):
    g = rng.standard_normal((N, k))
    return g / np.linalg.norm(g, axis=0) * np.sqrt(N)


def hutchinson(a, m):
    return np.mean(np.sum(sphere(m) ** 2 * a[:, None], axis=0)) if m else 0.0


def hutchpp(a, m):
    k = m // 3
    q, _ = np.linalg.qr(a[:, None] * sphere(k))
    g = sphere(m - 2 * k)
    g = g - q @ (q.T @ g)
    return np.sum(q * (a[:, None] * q)) + np.sum(g * (a[:, None] * g)) / (m - 2 * k)


def xtrace(a, m):
    k = m // 2
    omega = sphere(k)
    y = a[:, None] * omega
    q, r = np.linalg.qr(y)
    z = a[:, None] * q
    s = np.linalg.inv(r).T
    s = s / np.linalg.norm(s, axis=0)
    h, w, t = q.T @ z, q.T @ omega, z.T @ omega
    dots = lambda x, y: np.sum(x * y, axis=0)
    x = w - s * dots(s, w)
    scale = (N - k + 1) / (N - dots(w, w) + dots(s, w) ** 2)
    low_rank = np.trace(h) - dots(s, h @ s)
    # omega' A omega - omega' P A omega - omega' A P omega + omega' P A P omega, P without direction i.
    pr = r - s * dots(s, r)
    rest = dots(w, r) - dots(x, pr) - dots(t, x) + dots(x, h @ x)
    return np.mean(low_rank + scale * rest)


for name, a in SPECTRA.items():
    rows = []
    for m in (20, 60, 120):
        errors = [
            [abs(f(a, m) / a.sum() - 1) for _ in range(TRIALS)]
            for f in (hutchinson, hutchpp, xtrace)
        ]
        rows.append([(np.mean(e), np.std(e) / np.sqrt(TRIALS) / np.mean(e)) for e in errors])
    cells = "], [".join(", ".join(f"{mean:.3g}" for mean, _ in row) for row in rows)
    print(f'("{name}", [[{cells}]]),', "relative error of these up to", f"{max(s for r in rows for _, s in r):.2f}", flush=True)
