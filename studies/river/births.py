"""River's time series models on the daily births, each asked for a day before it learns it.

Usage: python births.py ../../notebooks/data/us-births-1969-1988.csv [DAYS]

Constants are chosen by the mean absolute error, over all horizons, on the days 1,200 to 2,499; the days from
2,500 on are judged, as those of the learned board are: DAYS of them, or all. Writes one JSON object with the mean
absolute errors in births a day, one per horizon.
"""

import csv
import json
import math
import sys

import river
from river import linear_model, optim, preprocessing, time_series

HORIZONS = [1, 7, 28]
FIRST_CHOSEN_ON, FIRST_JUDGED = 1200, 2500
UNIT = 10_000  # births, so that a gradient step has the size that River's defaults expect


def read(path):
    with open(path) as file:
        rows = list(csv.DictReader(file))
    births = [float(row["births"]) / UNIT for row in rows]
    return births, [features(row) for row in rows]


def features(row):
    """What a calendar says of a day: its weekday, and three harmonics of the year."""
    month, day, weekday = int(row["month"]), int(row["date_of_month"]), int(row["day_of_week"])
    angle = 2 * math.pi * (month - 1 + day / 31) / 12
    x = {f"weekday {at}": float(weekday == at) for at in range(1, 8)}
    for harmonic in (1, 2, 3):
        x[f"cos {harmonic}"], x[f"sin {harmonic}"] = math.cos(harmonic * angle), math.sin(harmonic * angle)
    return x


def absolute_errors(model, births, calendar, first, end):
    """Sums of |truth - forecast| per horizon, of the days `first` to `end` that were forecast from `first - 1` on."""
    sums, counts = [0.0] * len(HORIZONS), [0] * len(HORIZONS)
    longest = HORIZONS[-1]
    for day in range(end):
        xs = calendar[day + 1:day + 1 + longest] if calendar else None
        if calendar:
            model.learn_one(births[day], calendar[day])
        else:
            model.learn_one(births[day])
        if day < first - 1:
            continue
        ahead = min(longest, end - 1 - day)
        if ahead == 0:
            break
        forecasts = model.forecast(ahead, xs[:ahead]) if calendar else model.forecast(ahead)
        for at, horizon in enumerate(HORIZONS):
            if horizon <= ahead:
                sums[at] += abs(births[day + horizon] - forecasts[horizon - 1])
                counts[at] += 1
    return [UNIT * total / count for total, count in zip(sums, counts)]


def holt_winters(alpha, beta, gamma):
    return time_series.HoltWinters(alpha=alpha, beta=beta, gamma=gamma, seasonality=7)


def snarimax(p, sp, rate):
    return time_series.SNARIMAX(
        p=p, d=0, q=0, m=7, sp=sp,
        regressor=preprocessing.StandardScaler() | linear_model.LinearRegression(
            optimizer=optim.SGD(rate), intercept_init=1.0, intercept_lr=rate),
    )


def snarimax_bayes(p, sp, smoothing):
    return time_series.SNARIMAX(
        p=p, d=0, q=0, m=7, sp=sp,
        regressor=linear_model.BayesianLinearRegression(smoothing=smoothing),
    )


class Direct:
    """A regression of River's per horizon, on the calendar of the day asked for and on the newest days known."""

    YEAR = 364
    LAGS = [0, 1, 2, 6]

    def __init__(self, make):
        self.models = {horizon: make() for horizon in HORIZONS}
        self.births, self.levels = [], []

    def learn_one(self, y, x):
        self.births.append(y)
        today = len(self.births) - 1
        year = self.births[-self.YEAR:]
        self.levels.append(sum(year) / len(year))
        for horizon, model in self.models.items():
            origin = today - horizon
            if origin >= self.YEAR + 28:
                model.learn_one(self.known(origin, horizon, x), y / self.levels[origin] - 1)

    def forecast(self, ahead, xs):
        origin = len(self.births) - 1
        level = self.levels[origin]
        forecasts = [math.nan] * ahead
        for horizon, model in self.models.items():
            if horizon <= ahead:
                share = model.predict_one(self.known(origin, horizon, xs[horizon - 1]))
                forecasts[horizon - 1] = level * (1 + share)
        return forecasts

    def known(self, origin, horizon, x):
        level = self.levels[origin]
        row = {**x, "one": 1.0}
        for lag in self.LAGS:
            row[f"{lag} days ago"] = self.births[origin - lag] / level - 1
        weeks = -(-horizon // 7)
        for week in (weeks, weeks + 1, 52):
            row[f"{week} weeks before"] = self.births[origin + horizon - 7 * week] / level - 1
        return row


def direct_bayes(smoothing):
    return Direct(lambda: linear_model.BayesianLinearRegression(
        smoothing=None if smoothing == 1 else smoothing))


def direct_sgd(rate):
    return Direct(lambda: preprocessing.StandardScaler()
                  | linear_model.LinearRegression(optimizer=optim.SGD(rate), intercept_lr=rate))


GRIDS = [
    ("River: LinearRegression per horizon", direct_sgd, ["rate"], True, [(0.001,), (0.003,), (0.01,), (0.03,)]),
    ("River: BayesianLinearRegression per horizon", direct_bayes, ["smoothing"], True,
     [(0.99,), (0.995,), (0.998,), (0.999,), (1.0,)]),
    ("River: SNARIMAX with the calendar", snarimax, ["p", "sp", "rate"], True,
     [(p, sp, rate) for p in (3, 7) for sp in (2, 6) for rate in (0.001, 0.003, 0.01)]),
    ("River: SNARIMAX, Bayesian, with the calendar", snarimax_bayes, ["p", "sp", "smoothing"], True,
     [(3, 2, 0.99), (3, 2, 0.998), (3, 2, 0.9995), (7, 4, 0.998)]),
    ("River: Holt-Winters", holt_winters, ["alpha", "beta", "gamma"], False,
     [(a, b, g) for a in (0.05, 0.15, 0.3) for b in (0.001, 0.01) for g in (0.05, 0.15, 0.3)]),
]


def main(path, days):
    births, calendar = read(path)
    end = len(births) if days is None else FIRST_JUDGED + days
    models = []
    for name, make, names, has_calendar, grid in GRIDS:
        known = calendar if has_calendar else None
        tried = []
        for constants in grid:
            errors = absolute_errors(make(*constants), births, known, FIRST_CHOSEN_ON, FIRST_JUDGED)
            tried.append((sum(errors), constants))
            print(name, constants, [round(error) for error in errors], file=sys.stderr)
        _, best = min((total, constants) for total, constants in tried if not math.isnan(total))
        models.append({
            "name": name,
            "constants": dict(zip(names, best)),
            "tried": len(tried),
            "errors": [
                round(error, 1)
                for error in absolute_errors(make(*best), births, known, FIRST_JUDGED, end)
            ],
        })
        print(models[-1], file=sys.stderr)
    print(json.dumps({
        "river": river.__version__, "horizons": HORIZONS, "days": end - FIRST_JUDGED, "models": models}))


main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
