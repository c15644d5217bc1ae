"""Writes the fixtures of tests/transformers.rs beside itself: models that transformers saved, rows, and its answers.

    pip install torch transformers && python generate.py

Last run with torch 2.15 and transformers 5.24. Models are tiny, with weights far from initial ones. PyTorch computes in
f64 from the weights that the fixtures hold, so that what is compared with is exact; models and answers that depend on
more than f32 tells apart are refused here.

What transformers has no code for any more, or never had, is computed here by its documented rules: windows over a
passage and the best answer among them (google-research/bert, run_squad.py), windows over words.
"""

import copy
import json
import pathlib
import random
import shutil

import torch
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertTokenizerFast,
    pipeline,
)

HERE = pathlib.Path(__file__).parent
TOKENIZER = HERE.parents[2] / "bert-core/tests/golden/tokenizers/uncased"
MOST = 48
GAP = 3e-4  # between the best and the second
SINGLE = 2e-5  # what scores in f32 may lack at most: models that make more of it are of no use here

WORDS = (
    "the quick brown fox jumps over lazy dog unaffable naïve café résumé Ångström İstanbul smörgåsbord Straße Zażółć "
    "mixedCASE 3.14 U.S.A. it's don't hyphen-ated 日本語 漢字kanji Русский עברית 한국어 😀 👍🏽 e\u0301 soft\u00adhyphen "
    "under_score € (quotes) „low“ coöperate point space words Đặng ﬁne [MASK] x##y"
).split(" ")

tokenizer = BertTokenizerFast.from_pretrained(TOKENIZER)
tokenizer.backend_tokenizer.no_truncation()
tokenizer.backend_tokenizer.no_padding()
singles = {}
CLS, SEP, UNK = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id


# ---- models and files ------------------------------------------------------------------------------


def saved(name, kind, seed, dtype=torch.float16, **settings):
    """A model that transformers saved, in f64. Most are saved in halves, which are as exact and half as large."""
    path = HERE / name
    shutil.rmtree(path, ignore_errors=True)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=MOST, attn_implementation="eager", **settings,
    )
    made = kind(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter_name, parameter in made.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter_name.endswith("LayerNorm.weight"):
                parameter.copy_(1 + 0.3 * noise)
            else:
                parameter.copy_((0.9 if parameter.dim() == 2 else 0.4) * noise)
    made.to(dtype).save_pretrained(path)
    (path / "model.safetensors").chmod(0o644)
    if name == "named_labels":
        tokenizer.save_pretrained(path)
    else:
        for file in ("vocab.txt", "tokenizer_config.json"):
            shutil.copy(TOKENIZER / file, path)
    made.eval()
    singles[made] = copy.deepcopy(made).float()
    return made.double()


def rounded(value):
    """To seven digits; whole numbers stay whole, others never become it."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def write_rows(path, rows):
    path.write_text("".join(compact(row) + "\n" for row in rows), encoding="utf-8")


def write(name, runs, losses):
    """`runs`: file name, arguments, rows and answers; `losses`: file name, arguments, rows and the loss."""
    expected = dict(runs=[], losses=[])
    for file, arguments, rows, answers in runs:
        assert len(rows) == len(answers)
        write_rows(HERE / name / file, rows)
        expected["runs"].append(dict(input=file, arguments=arguments, answers=rounded(answers)))
    for file, arguments, rows, loss in losses:
        write_rows(HERE / name / file, rows)
        expected["losses"].append(dict(data=file, arguments=arguments, loss=rounded(float(loss))))
    parts = []
    for run in expected["runs"]:
        answers = run.pop("answers")
        lines = ",\n".join(map(compact, answers))
        parts.append(f'{compact(run)[:-1]},"answers":[\n{lines}\n]}}')
    losses = compact(expected["losses"])
    text = '{"runs":[' + ",\n".join(parts) + f'],\n"losses":{losses}}}\n'
    assert json.loads(text)["losses"] == expected["losses"]
    (HERE / name / "expected.json").write_text(text, encoding="utf-8")


def named(row, answer):
    """An answer has its row's id first."""
    return ({"id": row["id"]} if "id" in row else {}) | answer


# ---- what models give ------------------------------------------------------------------------------


def words(seed, count):
    draw = random.Random(seed)
    return [draw.choice(WORDS) for _ in range(count)]


def text(seed, count):
    return " ".join(words(seed, count))


def encode(first, second=None, **options):
    made = tokenizer([first], None if second is None else [second], **options)
    return {key: made[key][0] for key in ("input_ids", "token_type_ids")}


def encode_row(row, first="text", second=None):
    """Ids as they are; a text cut to the model."""
    if "input_ids" in row:
        ids = row["input_ids"]
        return dict(input_ids=ids, token_type_ids=row.get("token_type_ids", [0] * len(ids)))
    return encode(row[first], row[second] if second else None, truncation=True, max_length=MOST)


@torch.no_grad()
def output_of(model, **batch):
    """In f64, and not much else in f32."""
    output, single = model(**batch), singles[model](**batch)
    for key, exact in output.items():
        lacking = ((exact - single[key]).abs() / exact.abs().clamp(min=1)).max().item()
        assert key == "loss" or lacking < SINGLE, lacking
    return output


def logits(model, encoded):
    """Of one sequence: without padding."""
    output = output_of(model, **{key: torch.tensor([value]) for key, value in encoded.items()})
    return [values[0] for values in output.values()]


def padded(encodings):
    return dict(tokenizer.pad([dict(e) for e in encodings], return_tensors="pt"))


def softmax(values):
    return torch.softmax(torch.as_tensor(values, dtype=torch.float64), -1).tolist()


def is_clear(values, gap=GAP):
    first, second = sorted(values, reverse=True)[:2]
    return first - second > gap


# ---- one answer for a text or a pair ---------------------------------------------------------------


def text_rows(seed, second=None):
    """Of very different lengths, one longer than the model; ids with types and without."""
    row = lambda part, count: {key: text(seed + part + at, count + 3 * at) for at, key in enumerate(
        ["text", second] if second else ["text"])}
    ids = encode(text(seed + 90, 9), text(seed + 91, 4))
    return [
        dict(id="first") | row(0, 5),
        dict(id=17) | row(10, 70),
        row(20, 1),
        dict(id="ids", input_ids=ids["input_ids"], token_type_ids=ids["token_type_ids"]),
        dict(id="longer", more=[1, None]) | row(30, 12),
        dict(id="no types", input_ids=[CLS, 7, 100, 33, SEP]),
        dict(id="Ünïcode 😀") | row(40, 3),
        dict(id=-1.5) | row(50, 9),
    ]


def sequence_answer(model, row, encoded):
    scores = logits(model, encoded)[0].tolist()
    names = [model.config.id2label[i] for i in range(len(scores))]
    if model.config.problem_type == "multi_label_classification":
        probabilities = torch.sigmoid(torch.tensor(scores, dtype=torch.float64)).tolist()
        assert all(abs(p - 0.5) > GAP for p in probabilities)
        answer = dict(labels=[n for n, p in zip(names, probabilities) if p >= 0.5])
    elif len(scores) == 1:
        return named(row, dict(value=scores[0], logits=scores))
    else:
        probabilities = softmax(scores)
        assert is_clear(scores)
        best = scores.index(max(scores))
        answer = dict(label=names[best], score=probabilities[best])
    return named(row, answer | dict(probabilities=dict(zip(names, probabilities)), logits=scores))


def sequence_loss(model, rows, targets, second=None):
    batch = padded([encode_row(row, second=second) for row in rows])
    dtype = torch.long if isinstance(targets[0], int) else torch.float64
    with torch.no_grad():
        return model(**batch, labels=torch.tensor(targets, dtype=dtype)).loss


def sequences(name, model, seed, label, target, pairs=True):
    """`label(number)` is the label of a labelled row, `target` what transformers takes for it."""
    rows = text_rows(seed)
    runs = [("rows.jsonl", [], rows, [sequence_answer(model, row, encode_row(row)) for row in rows])]
    labelled = [row | label(number) for number, row in enumerate(text_rows(seed + 200))]
    targets = [target(number) for number in range(len(labelled))]
    losses = [("labelled.jsonl", [], labelled, sequence_loss(model, labelled, targets))]
    if pairs:
        arguments = ["--text-pair", "other"]
        labelled = [row | label(number) for number, row in enumerate(text_rows(seed + 100, "other"))]
        answers = [sequence_answer(model, row, encode_row(row, second="other")) for row in labelled]
        # Answers do not depend on the labels of rows.
        runs.append(("pairs.jsonl", arguments, labelled, answers))
        losses.append(("pairs.jsonl", arguments, labelled, sequence_loss(model, labelled, targets, "other")))
    write(name, runs, losses)
    shown = [answer.get("label", answer.get("labels", answer.get("value"))) for answer in runs[0][3]]
    print(name, shown, [loss for *_, loss in losses])


def classification():
    names = ["no", "über alles", "Yes"]
    model = saved(
        "named_labels", BertForSequenceClassification, 21, torch.float32, id2label=dict(enumerate(names)),
        label2id={label: number for number, label in enumerate(names)},
    )
    sequences("named_labels", model, 1000, lambda n: dict(label=names[n % 3]), lambda n: n % 3)
    model = saved(
        "default_labels", BertForSequenceClassification, 2, problem_type="single_label_classification",
    )
    assert "id2label" not in json.loads((HERE / "default_labels/config.json").read_text())
    sequences("default_labels", model, 2000, lambda n: dict(label=f"LABEL_{n % 2}"), lambda n: n % 2, pairs=False)


def multi_label():
    names = ["red", "green", "blue", "none of them"]
    model = saved(
        "multi_label", BertForSequenceClassification, 3, id2label=dict(enumerate(names)),
        label2id={label: number for number, label in enumerate(names)}, problem_type="multi_label_classification",
    )
    given = [[], [0], [1, 3], [0, 1, 2, 3], [2], [3, 0], [1], []]

    def label(number):
        labels = [names[i] for i in given[number]]
        return dict(labels=", ".join(labels) if number % 2 else labels)

    sequences("multi_label", model, 3000, label, lambda n: [float(i in given[n]) for i in range(4)], pairs=False)


def regression():
    model = saved("regression", BertForSequenceClassification, 4, num_labels=1)
    numbers = [0.25, -3.5, 2, 0, 11.125, -0.75, 1e-3, 4.5]
    label = lambda n: dict(label=str(numbers[n]) if n % 3 == 1 else numbers[n])
    sequences("regression", model, 4000, label, lambda n: float(numbers[n]))


# ---- tags ------------------------------------------------------------------------------------------


def pieces_of_words(given):
    """A word of characters that are cleaned away is an unknown one."""
    pieces = [tokenizer(word, add_special_tokens=False).input_ids for word in given]
    if all(pieces):
        whole = tokenizer(given, is_split_into_words=True, add_special_tokens=False)
        assert whole.input_ids == sum(pieces, [])
    return [ids or [UNK] for ids in pieces]


def pieces_of_text(given):
    """What white space and punctuation leave, and where it stands."""
    made = tokenizer(given, add_special_tokens=False, return_offsets_mapping=True)
    pieces, places, last = [], [], None
    for token, word, (start, end) in zip(made.input_ids, made.word_ids(), made.offset_mapping):
        if word == last:
            pieces[-1].append(token)
            places[-1][1] = end
        else:
            pieces.append([token])
            places.append([start, end])
        last = word
    return pieces, places


def word_windows(counts, room):
    """The words of each window, and those it decides: as many words as fit; the next window begins with as many of this
    one's last words as have half of its room; the middle of what two windows share divides what they decide."""
    windows, start, decided = [], 0, 0
    while True:
        end, taken = start, 0
        while end < len(counts) and taken + counts[end] <= room:
            taken += counts[end]
            end += 1
        if end == len(counts):
            return windows + [(start, end, decided, end)]
        following, behind = end, 0
        while following > start + 1 and behind + counts[following - 1] <= room // 2:
            following -= 1
            behind += counts[following]
        middle = (following + end) // 2
        windows.append((start, end, decided, middle))
        start, decided = following, middle


def scores_of_words(model, pieces):
    """Of each word's first piece."""
    room = MOST - 2
    pieces = [ids[:room] for ids in pieces]
    scores = []
    windows = word_windows([len(ids) for ids in pieces], room)
    for start, end, decided, until in windows:
        inner = sum(pieces[start:end], [])
        of_tokens = logits(model, dict(input_ids=[CLS] + inner + [SEP], token_type_ids=[0] * (len(inner) + 2)))[0]
        first = 1 + sum(map(len, pieces[start:decided]))
        for word in range(decided, until):
            scores.append(of_tokens[first].tolist())
            first += len(pieces[word])
    assert len(scores) == len(pieces)
    return scores, len(windows)


def token_answer(model, recognize, row):
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    tag = lambda scores: names[scores.index(max(scores))]
    if "input_ids" in row:
        scores = logits(model, encode_row(row))[0].tolist()
        assert all(map(is_clear, scores))
        return named(row, dict(tags=[tag(s) for s in scores], logits=scores)), 1
    if "tokens" in row:
        given = row["tokens"]
        pieces, places = pieces_of_words(given), [[i, i + 1] for i in range(len(given))]
    else:
        pieces, places = pieces_of_text(row["text"])
        given = [row["text"][start:end] for start, end in places]
    scores, windows = scores_of_words(model, pieces)
    assert all(map(is_clear, scores))
    tagged = [
        dict(entity=tag(s), score=max(softmax(s)), start=start, end=end, word=word)
        for s, word, (start, end) in zip(scores, given, places)
    ]
    groups = recognize.group_entities(tagged)
    if "text" in row and windows == 1:
        ours = [group for group in groups if group["entity_group"] != "O"]
        groups = recognize(row["text"])
        spans = lambda groups: [(group["entity_group"], group["start"], group["end"]) for group in groups]
        assert spans(groups) == spans(ours), (row["text"], spans(groups), spans(ours))
    entities = []
    for group in groups:
        kind, start, end = group["entity_group"], int(group["start"]), int(group["end"])
        if kind == "O":
            continue
        if "tokens" in row:
            place = dict(text=" ".join(given[start:end]), start_word=start, end_word=end)
        else:
            place = dict(text=row["text"][start:end], start=start, end=end)
        entities.append(dict(type=kind) | place | dict(score=float(group["score"])))
    tags = [word["entity"] for word in tagged]
    return named(row, dict(words=given, tags=tags, entities=entities, logits=scores)), windows


def token_loss(model, rows):
    encodings, labels = [], []
    for row in rows:
        pieces = pieces_of_words(row["tokens"])
        encodings.append(encode(row["tokens"], is_split_into_words=True))
        assert encodings[-1]["input_ids"][1:-1] == sum(pieces, []) and len(encodings[-1]["input_ids"]) <= MOST
        numbers = [-100]
        for ids, tag in zip(pieces, row["tags"]):
            numbers += [model.config.label2id[tag]] + [-100] * (len(ids) - 1)
        labels.append(numbers + [-100])
    batch = padded(encodings)
    longest = batch["input_ids"].shape[1]
    labels = torch.tensor([numbers + [-100] * (longest - len(numbers)) for numbers in labels])
    with torch.no_grad():
        return model(**batch, labels=labels).loss


def tokens():
    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    model = saved(
        "tokens", BertForTokenClassification, 234, id2label=dict(enumerate(names)),
        label2id={label: number for number, label in enumerate(names)},
    )
    recognize = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="first")
    # The pipeline tells the pieces of a word by their lengths, which characters of two code points mislead.
    plain = lambda seed, count: " ".join(
        word for word in words(seed, 3 * count) if word not in ("İstanbul", "e\u0301", "👍🏽", "soft\u00adhyphen", "ﬁne")
    )[: 6 * count]
    rows = [
        dict(id=1, tokens=words(5001, 7)),
        dict(id=2, text=plain(5002, 9)),
        dict(id=3, tokens=words(5003, 37)),
        dict(id=4, text="Hello, World! The U.S.A. (the fox's) naïve Ångström -- 日本語."),
        dict(tokens=["\u200d", "fox", "qjzk" * 13, "\ufeff", "over"]),
        dict(id=6, text=plain(5006, 38)),
        dict(id=7, input_ids=[CLS, 88, 200, 31, 9, 500, SEP]),
        dict(id=8, tokens=["dog"]),
        dict(id=9, text=text(5009, 40)),
        dict(id=10, tokens=words(5010, 60)),
        dict(id=11, text=plain(5011, 5)),
    ]
    answered = [token_answer(model, recognize, row) for row in rows]
    assert sorted(windows for _, windows in answered)[-3:] == [2, 3, 3]
    draw = random.Random(5)
    labelled = [
        dict(tokens=words(5100 + count, count), tags=[draw.choice(names) for _ in range(count)])
        for count in (5, 1, 11, 8, 3)
    ]
    write(
        "tokens", [("rows.jsonl", [], rows, [answer for answer, _ in answered])],
        [("labelled.jsonl", [], labelled, token_loss(model, labelled))],
    )
    print("tokens", [windows for _, windows in answered], [len(a.get("entities", [])) for a, _ in answered])


# ---- answers to questions --------------------------------------------------------------------------


def max_context(windows, token):
    """run_squad.py's `_check_is_max_context`: which window shows most around a token."""
    best, score = None, None
    for index, (start, end) in enumerate(windows):
        if start <= token < end:
            own = min(token - start, end - 1 - token) + 0.01 * (end - start)
            if score is None or own > score:
                best, score = index, own
    return best


def question_answer(model, row, stride, longest, query, n_best, unanswerable, threshold, listed):
    if "input_ids" in row:
        encodings = [encode_row(row)]
        types = encodings[0]["token_type_ids"]
        before = types.index(1) if 1 in types else 1
        windows = [(0, len(types) - before - 1)]
    else:
        question = tokenizer(row["question"], add_special_tokens=False).input_ids
        context = tokenizer(row["context"], add_special_tokens=False, return_offsets_mapping=True)
        ids, places = context.input_ids, context.offset_mapping
        cut, question = len(question) > query, question[:query]
        before, room = len(question) + 2, MOST - len(question) - 3
        windows, start = [], 0
        while not windows or windows[-1][1] < len(ids):
            windows.append((start, min(start + room, len(ids))))
            start += min(stride, room)
        encodings = [
            dict(
                input_ids=[CLS] + question + [SEP] + ids[start:end] + [SEP],
                token_type_ids=[0] * before + [1] * (end - start + 1),
            )
            for start, end in windows
        ]
        if not cut:
            # The same, by what transformers calls a stride: what two windows share.
            overflowing = tokenizer(
                [row["question"]], [row["context"]], truncation="only_second", max_length=MOST,
                stride=room - min(stride, room), return_overflowing_tokens=True,
            )
            assert overflowing["input_ids"] == [e["input_ids"] for e in encodings]
            assert overflowing["token_type_ids"] == [e["token_type_ids"] for e in encodings]
    scores = [[column.tolist() for column in logits(model, encoded)] for encoded in encodings]
    null = min(starts[0] + ends[0] for starts, ends in scores)
    candidates = []
    for index, (start, end) in enumerate(windows):
        starts, ends = scores[index]
        for first in range(start, end):
            if max_context(windows, first) == index:
                candidates += [
                    (-(starts[first - start + before] + ends[last - start + before]), first, last, index)
                    for last in range(first, min(end, first + longest))
                ]
    candidates.sort()
    best = candidates[:n_best]
    for (one, *_), (other, *_) in zip(candidates, candidates[1 : (n_best if listed else 1) + 1]):
        assert other - one > 1e-4, (row, other - one)
    all_scores = [-score for score, *_ in best]
    probabilities = softmax(all_scores + [null] if unanswerable else all_scores)

    def shown(candidate, probability):
        score, first, last, _ = candidate
        if "input_ids" in row:
            place = dict(start_token=first + before, end_token=last + before)
        else:
            start, end = places[first][0], places[last][1]
            place = dict(answer=row["context"][start:end], start=start, end=end)
        return place | dict(score=-score, probability=probability)

    n_best = [shown(*pair) for pair in zip(best, probabilities)]
    difference = null - all_scores[0]
    assert abs(difference - threshold) > GAP
    nothing = unanswerable and difference > threshold
    answer = dict(answer="", score=None, probability=probabilities[-1]) if nothing else n_best[0]
    window = best[0][3]
    answer = answer | dict(no_answer_score=difference) | (dict(n_best=n_best) if listed else {})
    answer = answer | dict(logits=[list(pair) for pair in zip(*scores[window])])
    return named(row, answer), len(windows), window


def question_loss(model, rows):
    """The mean over rows, each by itself: in a padded batch transformers' softmax would go over the padding too."""
    total = 0.0
    for row in rows:
        made = tokenizer([row["question"]], [row["context"]], return_tensors="pt")
        assert made["input_ids"].shape[1] <= MOST
        answers, span = row["answers"], (0, 0)
        answers = answers if isinstance(answers, list) else [
            dict(text=t, answer_start=s) for t, s in zip(answers["text"], answers["answer_start"])]
        if answers:
            start = answers[0]["answer_start"]
            last = start + len(answers[0]["text"]) - 1
            assert row["context"][start : last + 1] == answers[0]["text"]
            span = (made.char_to_token(0, start, 1), made.char_to_token(0, last, 1))
        start, end = (torch.tensor([token]) for token in span)
        with torch.no_grad():
            total += model(**made, start_positions=start, end_positions=end).loss
    return total / len(rows)


def questions():
    model = saved("questions", BertForQuestionAnswering, 60, torch.bfloat16)
    pair = encode("who jumps", "the fox, over the dog")
    rows = [
        dict(id="56be", question="Who jumps?", context="The quick brown fox jumps over the lazy dog."),
        dict(id="long", question="Where is the naïve 日本語 point?", context=text(6001, 60)),
        dict(question=text(6002, 5), context=text(6003, 33)),
        dict(id="ids", input_ids=pair["input_ids"], token_type_ids=pair["token_type_ids"]),
        dict(id=5, question="the (lazy) dog, coöperate; mixedCASE U.S.A.", context=text(6004, 21)),
        dict(id="no types", input_ids=[CLS, 61, 300, 47, 47, 210, SEP]),
        dict(id="short", question="hello", context="a"),
        dict(id="longest", question="fox", context="  " + text(6005, 95) + " \t"),
        dict(id="emoji", question="😀?", context="👍🏽 😀 e\u0301 é. [SEP] İstanbul ışık I…\u200d and on."),
    ]
    settings = dict(stride=128, longest=30, query=64, n_best=20, unanswerable=False, threshold=0.0, listed=False)
    plain = [question_answer(model, row, **settings) for row in rows]
    settings = dict(stride=7, longest=5, query=9, n_best=3, unanswerable=True, threshold=-2.5, listed=True)
    arguments = [
        "doc_stride=7", "max_answer_tokens=5", "max_query_tokens=9", "n_best=3", "unanswerable=true",
        "null_threshold=-2.5",
    ]
    arguments = [part for argument in arguments for part in ("--set", argument)]
    strided = [question_answer(model, row, **settings) for row in rows]
    for answered in (plain, strided):
        print("questions", [(w, best, a.get("answer")) for a, w, best in answered])
    assert max(best for _, _, best in plain) > 0 and max(best for _, _, best in strided) > 1
    nothing = sum(answer.get("answer") == "" for answer, *_ in strided)
    assert 0 < nothing < len(rows), nothing
    context = "The quick brown fox — naïve café — jumps over 日本語."
    labelled = [
        dict(id="a", question="Who?", context=context, answers=dict(text=["brown fox", "fox"], answer_start=[10, 16])),
        dict(id="b", question="What is it?", context=context, answers=[dict(text="café", answer_start=28)]),
        dict(id="c", question="unaffable", context=context, answers=dict(text=[], answer_start=[])),
        # Within tokens: the whole tokens are right.
        dict(id="d", question="over?", context=context, answers=dict(text=["ver 日"], answer_start=[42])),
        dict(id="e", question="?", context="hello, fox", answers=[dict(text="hello, fox", answer_start=0)]),
    ]
    write(
        "questions",
        [
            ("rows.jsonl", [], rows, [answer for answer, *_ in plain]),
            ("rows.jsonl", arguments, rows, [answer for answer, *_ in strided]),
        ],
        [("labelled.jsonl", [], labelled, question_loss(model, labelled))],
    )


# ---- one of several answers ------------------------------------------------------------------------


def choices_of(row, context=None):
    if "input_ids" in row:
        types = row.get("token_type_ids", [[0] * len(ids) for ids in row["input_ids"]])
        return [dict(input_ids=ids, token_type_ids=t) for ids, t in zip(row["input_ids"], types)]
    pairs = [
        (row[context], f"{row['question']} {choice}") if context else (row["question"], choice)
        for choice in row["choices"]
    ]
    return [encode(first, second, truncation=True, max_length=MOST) for first, second in pairs]


def choice_output(model, row, context, **labels):
    batch = {key: value[None] for key, value in padded(choices_of(row, context)).items()}
    return output_of(model, **batch, **labels)


def choice_answer(model, row, context=None):
    scores = choice_output(model, row, context).logits[0].tolist()
    assert is_clear(scores)
    probabilities, best = softmax(scores), scores.index(max(scores))
    text = dict(text=row["choices"][best]) if "choices" in row else {}
    return named(
        row, dict(choice=best) | text | dict(score=probabilities[best], probabilities=probabilities, logits=scores),
    )


def choices():
    model = saved("choices", BertForMultipleChoice, 77)
    ids = [encode(text(7000, 3), text(7001 + choice, 2 + choice)) for choice in range(3)]
    context = "passage"

    def make(seed):
        listed = lambda at, counts: [text(seed + at + i, count) for i, count in enumerate(counts)]
        row = lambda at, question, counts: dict(
            question=text(seed + at, question), choices=listed(at + 1, counts),
            passage=text(seed + at + 9, 3 + question),
        )
        return [
            dict(id="a") | row(10, 4, [1, 3, 2, 5]),
            row(30, 2, [7, 1]),
            dict(id="ids", **{key: [e[key] for e in ids] for key in ("input_ids", "token_type_ids")}),
            dict(id="cut") | row(50, 15, [40, 2, 20]),
            dict(id="no types", input_ids=[[CLS, 50, 51, SEP], [CLS, 90, SEP], [CLS, 400, 7, 8, 7, SEP]]),
            dict(id=6) | row(70, 1, [2, 2, 1, 1, 3, 4, 1]),
        ]

    rows = make(7100)
    letters = [dict(label=1), dict(label="B"), dict(label=2), None, dict(label="0"), dict(label="e")]
    right = [1, 1, 2, 2, 0, 4]
    labelled = make(7300)
    letters[3] = dict(label=labelled[3]["choices"][2])
    labelled = [row | label for row, label in zip(labelled, letters)]
    arguments = ["--set", f"context={context}"]
    losses = {}
    for key in (None, context):
        # Rows differ in how many choices they have: one by one.
        parts = [choice_output(model, row, key, labels=torch.tensor([r])).loss for row, r in zip(labelled, right)]
        losses[key] = sum(parts) / len(parts)
    plain = [choice_answer(model, row) for row in rows]
    write(
        "choices",
        [
            ("rows.jsonl", [], rows, plain),
            ("rows.jsonl", arguments, rows, [choice_answer(model, row, context) for row in rows]),
        ],
        [
            ("labelled.jsonl", [], labelled, losses[None]),
            ("labelled.jsonl", arguments, labelled, losses[context]),
        ],
    )
    print("choices", [answer["choice"] for answer in plain], losses)


if __name__ == "__main__":
    torch.set_num_threads(1)
    classification()
    multi_label()
    regression()
    tokens()
    questions()
    choices()
