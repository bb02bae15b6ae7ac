"""River's recommenders on the ratings of `deno task ratings`, each asked for a rating before it learns it.

Usage: python ratings.py ../../notebooks/data/movielens.json

Constants are chosen by the error over the first 30 % of the ratings, as those of the other models of the study
are; the others of the ratings are judged apart. Writes one JSON object: for every model its constants, its root
mean squared errors in stars, and that of every twentieth of the ratings.
"""

import itertools
import json
import math
import sys
import time

import river
from river import optim, reco

CHOSEN_SHARE = 0.3
PARTS = 20


def clamp(stars):
    return min(5.0, max(0.5, stars))


def squared_errors(model, ratings):
    """The squared error of each rating, predicted before it is learned."""
    squares = []
    for user, film, stars in ratings:
        squares.append((clamp(model.predict_one(user, film)) - stars) ** 2)
        model.learn_one(user, film, stars)
    return squares


def rmse(squares):
    return math.sqrt(sum(squares) / len(squares))


def baseline(rate, l2):
    return reco.Baseline(optimizer=optim.SGD(rate), l2=l2)


def biased_mf(factors, rate, l2):
    return reco.BiasedMF(
        n_factors=factors,
        bias_optimizer=optim.SGD(rate),
        latent_optimizer=optim.SGD(rate),
        latent_initializer=optim.initializers.Normal(mu=0.0, sigma=0.1, seed=7),
        l2_bias=l2,
        l2_latent=l2,
    )


def funk_mf(factors, rate, l2):
    return reco.FunkMF(
        n_factors=factors,
        optimizer=optim.SGD(rate),
        initializer=optim.initializers.Normal(mu=0.3, sigma=0.1, seed=7),
        l2=l2,
    )


RATES = [0.01, 0.02, 0.04, 0.08]
DECAYS = [0.005, 0.02, 0.05]
GRIDS = [
    ("River: BiasedMF", biased_mf, ["factors", "rate", "l2"], itertools.product([5, 20], RATES, DECAYS)),
    ("River: Baseline", baseline, ["rate", "l2"], itertools.product(RATES, DECAYS)),
    ("River: FunkMF", funk_mf, ["factors", "rate", "l2"], itertools.product([5, 20], RATES, DECAYS)),
]


def main(path):
    with open(path) as file:
        columns = json.load(file)
    ratings = [
        (user, film, half_stars / 2)
        for user, film, half_stars in zip(columns["users"], columns["rated"], columns["halfStars"])
    ]
    chosen_on = math.floor(CHOSEN_SHARE * len(ratings))
    models = []
    for name, make, names, grid in GRIDS:
        tried = []
        for constants in grid:
            tried.append((rmse(squared_errors(make(*constants), ratings[:chosen_on])), constants))
        _, best = min(tried)
        start = time.perf_counter()
        squares = squared_errors(make(*best), ratings)
        seconds = time.perf_counter() - start
        part = len(ratings) / PARTS
        models.append({
            "name": name,
            "constants": dict(zip(names, best)),
            "tried": len(tried),
            "rmse": {
                "all": rmse(squares),
                "first": rmse(squares[:chosen_on]),
                "others": rmse(squares[chosen_on:]),
            },
            "parts": [
                round(rmse(squares[math.floor(at * part):math.floor((at + 1) * part)]), 4)
                for at in range(PARTS)
            ],
            "microsecondsPerRating": round(1e6 * seconds / len(ratings)),
        })
        print(models[-1]["name"], models[-1]["constants"], models[-1]["rmse"], file=sys.stderr)
    print(json.dumps({"river": river.__version__, "ratings": len(ratings), "models": models}))


main(sys.argv[1])
