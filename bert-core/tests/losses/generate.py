"""Writes losses.json, which tests/losses/mod.rs compares with, beside itself.

    pip install torch && python generate.py

PyTorch computes in f64 from scores that f32 holds exactly. Values and gradients are of the mean that each loss is a sum
for: the test divides by the same weight.
"""

import json
import pathlib

import torch
from torch.nn import functional

HERE = pathlib.Path(__file__).parent
LARGE = 40.0


def draw(seed, *shape, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(*shape, generator=generator)).double()


def choose(seed, most, *shape):
    return torch.randint(most, shape, generator=torch.Generator().manual_seed(seed))


def extreme(seed, *shape):
    """Scores of ±40 and of nearly nothing."""
    signs = choose(seed, 3, *shape).double() - 1
    return (LARGE * signs + draw(seed + 1, *shape, spread=0.5)).clamp(-LARGE, LARGE).float().double()


def case(name, scores, loss, **rest):
    scores = scores.clone().requires_grad_()
    value = loss(scores)
    value.backward()
    assert value.isfinite() and scores.grad.isfinite().all() and value > 0, name
    numbers = lambda tensor: [float(f"{x:.9g}") for x in tensor.detach().flatten().tolist()]
    return dict(
        name=name, columns=scores.shape[1], scores=numbers(scores), value=float(f"{value.item():.9g}"),
        gradient=numbers(scores.grad), **rest,
    )


def classes(name, scores, labels, weights=None, smoothing=0.0):
    """Rows of class -100 do not count."""
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    loss = torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
    labels = torch.as_tensor(labels)
    return case(
        name, scores, lambda z: loss(z, labels), labels=labels.tolist(),
        weights=weights or [1.0] * scores.shape[1], smoothing=smoothing,
    )


def soft(name, scores, targets):
    return case(
        name, scores, lambda z: functional.cross_entropy(z, targets, reduction="sum"),
        targets=targets.flatten().tolist(),
    )


def groups(name, scores, lengths, right):
    """`right`: for each group the row that is right in each column, -100 where none is. The mean is over all that are."""

    def loss(z):
        parts, count = 0.0, 0
        for group, rows in zip(z.split(lengths), right):
            for column, row in enumerate(rows):
                parts = parts + functional.cross_entropy(group[:, column], torch.tensor(row), reduction="sum")
                count += row >= 0
        return parts / count

    assert sum(lengths) == len(scores)
    return case(name, scores, loss, lengths=lengths, right=right)


def rights(seed, lengths, columns):
    return [[int(choose(seed + 10 * group + c, length, 1)) for c in range(columns)] for group, length in enumerate(lengths)]


def logistic(name, scores, targets):
    loss = torch.nn.BCEWithLogitsLoss()
    return case(name, scores, lambda z: loss(z, targets), targets=targets.flatten().tolist())


def squared(name, values, targets):
    return case(name, values, lambda z: torch.nn.MSELoss()(z, targets), targets=targets.flatten().tolist())


def cases():
    weights = [0.25, 3.0, 1.0, 0.0, 7.5]
    ragged, equal = [3, 1, 7, 5, 2], [4, 4, 4]
    distributions = torch.softmax(draw(30, 6, 4), 1).float().double()
    distributions[2] = 0.0
    distributions[4] *= 2.5
    missing = rights(62, ragged, 2)
    missing[2] = [-100, 3]
    missing[3] = [-100, -100]
    given = lambda seed, *shape: choose(seed, 2, *shape).double()
    return dict(
        cross_entropy=[
            classes("plain", draw(1, 7, 3), choose(2, 3, 7)),
            classes("weighted", draw(3, 11, 5), choose(4, 5, 11), weights),
            classes("smoothed", draw(5, 9, 4), choose(6, 4, 9), smoothing=0.125),
            classes("weighted and smoothed", draw(7, 13, 5), choose(8, 5, 13), weights, 0.25),
            classes("some rows do not count", draw(9, 5, 3), [2, -100, 0, -100, 2], [0.5, 1.0, 4.0]),
            classes("large", extreme(10, 17, 6), choose(12, 6, 17)),
            classes("large, weighted and smoothed", extreme(13, 15, 5), choose(15, 5, 15), weights, 0.1),
            classes("one row of two classes", draw(16, 1, 2), [1]),
        ],
        soft_targets=[
            soft("distributions, one of them empty, one heavier", draw(31, 6, 4), distributions),
            soft("large", extreme(32, 6, 4), distributions),
        ],
        grouped_cross_entropy=[
            groups("ragged, 1 column", draw(40, 18, 1), ragged, rights(41, ragged, 1)),
            groups("ragged, 2 columns", draw(42, 18, 2), ragged, rights(43, ragged, 2)),
            groups("ragged, 2 columns, large", extreme(44, 18, 2), ragged, rights(46, ragged, 2)),
            groups("equal, 1 column", draw(50, 12, 1), equal, rights(51, equal, 1)),
            groups("equal, 2 columns", draw(52, 12, 2), equal, rights(53, equal, 2)),
            groups("equal, 1 column, large", extreme(54, 12, 1), equal, rights(56, equal, 1)),
            groups("one group", draw(57, 9, 2), [9], [[8, 0]]),
            groups("some ends do not count", draw(61, 18, 2), ragged, missing),
        ],
        binary_cross_entropy=[
            logistic("plain", draw(70, 7, 3), given(71, 7, 3)),
            logistic("one label", draw(72, 5, 1), given(73, 5, 1)),
            logistic("soft", draw(74, 4, 5), torch.sigmoid(draw(75, 4, 5)).float().double()),
            logistic("large", extreme(76, 9, 4), given(78, 9, 4)),
        ],
        squared_error=[
            squared("plain", draw(80, 7, 1), draw(81, 7, 1)),
            squared("large", extreme(82, 11, 1), extreme(84, 11, 1)),
            squared("one row", draw(86, 1, 1), draw(87, 1, 1)),
        ],
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = []
    for kind, listed in cases().items():
        lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in listed)
        parts.append(f"{json.dumps(kind)}: [\n{lines}\n]")
    (HERE / "losses.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")
