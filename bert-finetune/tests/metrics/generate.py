"""Writes the oracle values that the tests of `metrics` compare with, beside this file.

    python3 -m venv /tmp/venv_metrics
    /tmp/venv_metrics/bin/pip install scikit-learn scipy seqeval 'transformers<5'
    /tmp/venv_metrics/bin/python generate.py

Last run with scikit-learn 1.9.1, scipy 1.17.1, seqeval 1.2.2 and transformers 4.57.6 (the last major
version that carries `squad_metrics`, the code of SQuAD's evaluate-v2.0.py). Seeds are fixed.
"""

import collections
import itertools
import json
import pathlib
import random
import warnings

import numpy as np
import scipy.stats
import sklearn.metrics as skm
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as seqeval_scores
from transformers.data.metrics import squad_metrics as squad

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent


def write(name, cases):
    """One case a line, so that a change shows as a small diff."""
    if isinstance(cases, dict):
        parts = [f"{json.dumps(key)}: {lines(value)}" for key, value in cases.items()]
        text = "{\n" + ",\n".join(parts) + "\n}\n"
    else:
        text = lines(cases) + "\n"
    (HERE / name).write_text(text, encoding="utf-8")
    assert len(text.encode()) < 60_000, (name, len(text.encode()))


def lines(cases):
    return "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases) + "\n]"


def scores(result, support):
    """precision, recall, F1 of a precision_recall_fscore_support call, with the support counted here."""
    return [float(x) for x in result[:3]] + [int(support)]


def per_label(result):
    return [[float(p), float(r), float(f), int(s)] for p, r, f, s in zip(*result)]


# ---- single-label classification -------------------------------------------------------------------


def classification_case(labels, gold, predicted):
    def prf(**options):
        return skm.precision_recall_fscore_support(gold, predicted, zero_division=0, **options)

    matrix = skm.confusion_matrix(gold, predicted, labels=range(labels))
    return {
        "labels": labels,
        "gold": gold,
        "predicted": predicted,
        "rows": matrix.tolist(),
        "accuracy": float(skm.accuracy_score(gold, predicted)),
        "per_class": per_label(prf(labels=range(labels), average=None)),
        "macro": scores(prf(average="macro"), len(gold)),
        "weighted": scores(prf(average="weighted"), len(gold)),
        "micro": scores(prf(average="micro"), len(gold)),
        "matthews": float(skm.matthews_corrcoef(gold, predicted)),
    }


def classification():
    rng = random.Random(1)
    cases = [
        classification_case(2, [0, 1, 1], [0, 0, 0]),  # a class never predicted
        classification_case(3, [0, 0, 1], [2, 0, 1]),  # a class absent from gold
        classification_case(4, [1, 2, 1], [2, 2, 1]),  # two classes nowhere
        classification_case(2, [1, 1, 1], [1, 1, 1]),  # one class only: MCC undefined
        classification_case(1, [0], [0]),
        classification_case(2, [0], [1]),
    ]
    for _ in range(40):
        labels = rng.randint(2, 6)
        gold_labels = rng.sample(range(labels), rng.randint(1, labels))
        predicted_labels = rng.sample(range(labels), rng.randint(1, labels))
        skill = rng.random()
        gold = [rng.choice(gold_labels) for _ in range(rng.randint(1, 61))]
        predicted = [g if rng.random() < skill else rng.choice(predicted_labels) for g in gold]
        cases.append(classification_case(labels, gold, predicted))
    return cases


# ---- multi-label classification --------------------------------------------------------------------


def multi_label_case(gold, predicted):
    gold, predicted = np.array(gold), np.array(predicted)

    def prf(average):
        return skm.precision_recall_fscore_support(gold, predicted, zero_division=0, average=average)

    return {
        "gold": ["".join(map(str, row)) for row in gold.tolist()],
        "predicted": ["".join(map(str, row)) for row in predicted.tolist()],
        "subset_accuracy": float(skm.accuracy_score(gold, predicted)),
        "hamming_loss": float(skm.hamming_loss(gold, predicted)),
        "per_class": per_label(prf(None)),
        "macro": scores(prf("macro"), gold.sum()),
        "weighted": scores(prf("weighted"), gold.sum()),
        "micro": scores(prf("micro"), gold.sum()),
    }


def multi_label():
    rng = random.Random(2)
    cases = [
        multi_label_case([[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]),
        multi_label_case([[0, 0], [0, 0]], [[1, 0], [0, 0]]),  # no support at all
        multi_label_case([[1, 1], [1, 0]], [[0, 0], [0, 0]]),  # nothing predicted
    ]
    for _ in range(40):
        labels = rng.randint(2, 7)
        rates = [rng.choice([0.0, 0.1, 0.4, 0.8]) for _ in range(labels)]
        skill = rng.random()
        gold = [[int(rng.random() < rate) for rate in rates] for _ in range(rng.randint(1, 33))]
        predicted = [[cell if rng.random() < skill else rng.randint(0, 1) for cell in row] for row in gold]
        cases.append(multi_label_case(gold, predicted))
    return cases


# ---- regression ------------------------------------------------------------------------------------


def regression_case(gold, predicted):
    constant = len(set(gold)) == 1 or len(set(predicted)) == 1
    # scipy answers nan for a constant side; the crate answers 0 there.
    return {
        "gold": gold,
        "predicted": predicted,
        "pearson": 0.0 if constant else float(scipy.stats.pearsonr(gold, predicted).statistic),
        "spearman": 0.0 if constant else float(scipy.stats.spearmanr(gold, predicted).statistic),
        "mse": float(skm.mean_squared_error(gold, predicted)),
        "mae": float(skm.mean_absolute_error(gold, predicted)),
    }


def regression():
    rng = random.Random(3)
    cases = [
        regression_case([0.1, 0.1, 0.1], [0.3, 0.2, 0.7]),
        regression_case([1.0, 2.0, 3.0], [0.7, 0.7, 0.7]),
        regression_case([1.5], [2.5]),
        regression_case([1.0, 2.0], [5.0, 4.0]),
        regression_case([1e6 + x for x in [0.0, 0.25, 0.5, 1.0, 2.0]], [3.0, 1.0, 2.0, 5.0, 4.0]),
    ]
    for index in range(40):
        size = rng.randint(2, 41)
        step = rng.choice([0.25, 0.5, 1.0]) if index % 2 else None  # steps make ties, as STS-B's gold has
        gold = [round(rng.uniform(0, 5), 3) for _ in range(size)]
        predicted = [round(g + rng.gauss(0, 1), 4) for g in gold]
        if step:
            gold = [round(g / step) * step for g in gold]
            predicted = [round(p / step) * step for p in predicted]
        cases.append(regression_case(gold, predicted))
    return cases


# ---- entities --------------------------------------------------------------------------------------

TYPES = ["PER", "LOC", "fine-grained"]


def chunks(rng):
    """A sentence as (type or None, number of words) pieces."""
    return [(rng.choice(TYPES + [None]), rng.randint(1, 3)) for _ in range(rng.randint(1, 4))]


def iob2(pieces):
    return [("I-" if i else "B-") + kind if kind else "O" for kind, size in pieces for i in range(size)]


def iob1(pieces):
    tags, previous = [], None
    for kind, size in pieces:
        for i in range(size):
            tags.append("O" if kind is None else ("B-" if i == 0 and kind == previous else "I-") + kind)
        previous = kind
    return tags


def iobes(pieces):
    tags = []
    for kind, size in pieces:
        for i in range(size):
            prefix = "S" if size == 1 else "B" if i == 0 else "E" if i == size - 1 else "I"
            tags.append(f"{prefix}-{kind}" if kind else "O")
    return tags


def malformed(rng):
    """Any prefix after any other, prefixes without a type, and prefixes that are none of BIES."""
    any_tag = [p + "-" + t for p in "BIES" for t in TYPES] * 2 + list("BIESOOOO")
    any_tag += ["I-", "BPER", "O-PER", ".", "U-PER", "L-PER", "X", "É-LOC"]
    return [rng.choice(any_tag) for _ in range(rng.randint(1, 9))]


def entity_spans():
    rng = random.Random(4)
    prefixed, raw = [], []
    for _ in range(75):
        for tags in [iob2(chunks(rng)), iob1(chunks(rng)), iobes(chunks(rng)), malformed(rng), malformed(rng)]:
            spans = [[kind, start, end + 1] for kind, start, end in get_entities(tags)]
            prefixed.append([" ".join(tags), spans])
    for _ in range(40):
        tags = [rng.choice(["O", "NOUN", "B-x"]) for _ in range(rng.randint(1, 9))]
        spans, at = [], 0
        for tag, run in itertools.groupby(tags):
            size = len(list(run))
            if tag != "O":
                spans.append([tag, at, at + size])
            at += size
        raw.append([" ".join(tags), spans])
    return {"prefixed": prefixed, "raw": raw}


def entity_scores_case(gold, predicted):
    def prf(average):
        return seqeval_scores(gold, predicted, average=average, zero_division=0)

    types = sorted({entity[0] for tags in gold + predicted for entity in get_entities(tags)})
    support = sum(len(get_entities(tags)) for tags in gold)
    return {
        "gold": [" ".join(tags) for tags in gold],
        "predicted": [" ".join(tags) for tags in predicted],
        "overall": scores(prf("micro"), support),
        # seqeval's mean over no types is nan; the crate answers 0 there.
        "macro": scores(prf("macro"), support) if types else [0.0, 0.0, 0.0, 0],
        "weighted": scores(prf("weighted"), support),
        "per_type": dict(zip(types, per_label(prf(None)), strict=True)),
    }


def entity_scores():
    rng = random.Random(5)
    cases = [
        entity_scores_case([["O", "O"]], [["O", "O"]]),
        entity_scores_case([["O", "O"]], [["B-PER", "O"]]),
        entity_scores_case([["B-PER", "I-PER"]], [["O", "O"]]),
    ]
    for index in range(50):
        scheme = [iob2, iob1, iobes][index % 3]
        noise = rng.choice([0.1, 0.3, 0.6])
        gold = [scheme(chunks(rng)) for _ in range(rng.randint(1, 7))]
        predicted = [
            [rng.choice("BIES") + "-" + rng.choice(TYPES) if rng.random() < noise else tag for tag in tags]
            for tags in gold
        ]
        cases.append(entity_scores_case(gold, predicted))
    return cases


# ---- SQuAD -----------------------------------------------------------------------------------------


def v1_f1(prediction, gold):
    """f1_score of SQuAD's evaluate-v1.1.py."""
    predicted, gold = squad.normalize_answer(prediction).split(), squad.normalize_answer(gold).split()
    same = sum((collections.Counter(predicted) & collections.Counter(gold)).values())
    if same == 0:
        return 0
    precision, recall = same / len(predicted), same / len(gold)
    return (2 * precision * recall) / (precision + recall)


def v1_exact(prediction, gold):
    """exact_match_score of SQuAD's evaluate-v1.1.py."""
    return squad.normalize_answer(prediction) == squad.normalize_answer(gold)


Example = collections.namedtuple("Example", "qas_id answers")
PIECES = (
    "the a an The A AN another theory a- -the café Café CAFÉ “a” ‘the’ — – U.S. U.S.A. 1,000 $5 don't it's "
    "river Denver Broncos Broncos' gold gold gold naïve ÄÖÜ straße ΟΔΟΣ an_ _a_ a1 á … ! ?! ( ) 東京 ½ İ the\u00a0river "
    "a\tb in of of and a\u0301 the\u200briver co-op a/an\u001cx"
).split(" ")


def text(rng, most=5):
    return rng.choice(["", " ", ""]) + " ".join(rng.choice(PIECES) for _ in range(rng.randint(0, most)))


def near(rng, gold):
    """A prediction related to one gold answer: the same, without a word, with one more, or another."""
    words = gold.split(" ")
    choice = rng.random()
    if choice < 0.3:
        return gold
    if choice < 0.5:
        return " ".join(words[1:])
    if choice < 0.7:
        return " ".join(words + [rng.choice(PIECES)])
    return text(rng)


def squad_answers():
    rng = random.Random(6)
    normalized = [[piece, squad.normalize_answer(piece)] for piece in sorted(set(PIECES))]
    normalized += [[t, squad.normalize_answer(t)] for t in (text(rng, 8) for _ in range(120))]
    answers = []
    for _ in range(150):
        golds = [text(rng) for _ in range(rng.randint(0, 3))]
        prediction = near(rng, rng.choice(golds)) if golds else rng.choice(["", text(rng)])
        example = [Example("q", [{"text": gold} for gold in golds])]
        exact, f1 = squad.get_raw_scores(example, {"q": prediction})
        v1 = None  # only where every gold answer has a word left
        if golds and all(map(squad.normalize_answer, golds)):
            v1 = [max(v1_exact(prediction, g) for g in golds), float(max(v1_f1(prediction, g) for g in golds))]
        answers.append([prediction, golds, bool(exact["q"]), float(f1["q"]), v1])
    return {"normalized": normalized, "answers": answers}


def squad_case(rng, unanswerable):
    questions = []
    for index in range(rng.randint(1, 25)):
        golds = [] if rng.random() < unanswerable else [text(rng, 4) for _ in range(rng.randint(1, 3))]
        best = near(rng, golds[0]) if golds else text(rng, 3)
        score = round(rng.gauss(-1.0 if golds else 1.0, 2.0), rng.choice([0, 3]))  # rounding makes ties
        questions.append([f"q{index}", "" if score > 0.5 else best, best, golds, score])

    examples = [Example(q[0], [{"text": gold} for gold in q[3]]) for q in questions]
    result = squad.squad_evaluate(examples, {q[0]: q[1] for q in questions})
    best_answers = {q[0]: q[2] for q in questions}
    exact, f1 = squad.get_raw_scores(examples, best_answers)
    has_answer = {q[0]: bool(q[3]) for q in questions}
    if not all(has_answer.values()):
        squad.find_all_best_thresh(result, best_answers, exact, f1, {q[0]: q[4] for q in questions}, has_answer)
    else:
        result = {key: value for key, value in result.items() if not key.startswith("best")}
    return {"questions": [q[1:] for q in questions], "result": result}


def squad_evaluations():
    rng = random.Random(7)
    return [squad_case(rng, rate) for rate in [0.0, 0.2, 0.5, 0.5, 0.8, 1.0] for _ in range(6)]


if __name__ == "__main__":
    write("classification.json", classification())
    write("multi_label.json", multi_label())
    write("regression.json", regression())
    write("entity_spans.json", entity_spans())
    write("entity_scores.json", entity_scores())
    write("squad_answers.json", squad_answers())
    write("squad_evaluations.json", squad_evaluations())
