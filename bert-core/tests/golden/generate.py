"""Writes the fixtures of tests/golden.rs, tests/formats.rs and tests/tokenizer.rs beside itself.

    pip install torch transformers safetensors && python generate.py

Models are tiny, of odd and different sizes, with weights far from initial ones. PyTorch computes in f64 from the f32
weights that the fixtures hold, so that what is compared with is exact.
"""

import json
import pathlib
import random
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    get_linear_schedule_with_warmup,
)
from tokenizers import BertWordPieceTokenizer

from masks import Masks, dropping

HERE = pathlib.Path(__file__).parent
SIZES = dict(
    vocab_size=37, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
    max_position_embeddings=17, type_vocab_size=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)
ACTIVATIONS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"]
LENGTHS = [7, 1, 17, 10]
STEPS = 20


def fresh(name):
    path = HERE / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def model(activation, seed, **changes):
    torch.manual_seed(seed)
    sizes = SIZES | changes
    made = BertForPreTraining(BertConfig(hidden_act=activation, attn_implementation="eager", **sizes))
    # transformers keeps the gradient of inputs from the pad token's row. google-research/bert does not, nor do we: its
    # id in the middle of a text is a token like any other.
    made.bert.embeddings.word_embeddings.padding_idx = None
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            noise = torch.randn_like(parameter)
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(1 + 0.3 * noise)
            else:
                parameter.copy_((0.2 if parameter.dim() == 1 else 0.35) * noise)
    return made


def batch(seed):
    """A padded batch with labels, and the same packed, with numbers as f32."""
    draw = random.Random(seed)
    count, longest = len(LENGTHS), max(LENGTHS)
    ids = torch.zeros(count, longest, dtype=torch.long)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    rows, masked, start = [], [], 0
    for index, length in enumerate(LENGTHS):
        first = draw.randrange(1, length + 1)
        for position in range(length):
            ids[index, position] = draw.randrange(SIZES["vocab_size"])
            types[index, position] = int(position >= first)
            mask[index, position] = 1
            if draw.random() < 0.3:
                labels[index, position] = draw.randrange(SIZES["vocab_size"])
                rows.append(start + position)
                masked.append(labels[index, position].item())
        start += length
    next_sentence = torch.tensor([draw.randrange(2) for _ in LENGTHS])
    real = mask.bool()
    padded = dict(
        input_ids=ids, token_type_ids=types, attention_mask=mask, labels=labels, next_sentence_label=next_sentence,
    )
    packed = dict(
        lengths=LENGTHS, input_ids=ids[real], token_type_ids=types[real], masked_rows=rows, masked_labels=masked,
        next_sentence=next_sentence,
    )
    return padded, {name: torch.as_tensor(value).float() for name, value in packed.items()}, real


def losses(output, padded):
    cross_entropy = torch.nn.functional.cross_entropy
    mlm = cross_entropy(output.prediction_logits.flatten(0, 1), padded["labels"].flatten(), ignore_index=-100)
    nsp = cross_entropy(output.seq_relationship_logits, padded["next_sentence_label"])
    return mlm, nsp


def forward_and_gradients(made):
    made = made.double().eval()
    padded, values, real = batch(11)
    pooled = made.bert(**{k: padded[k] for k in ("input_ids", "token_type_ids", "attention_mask")}).pooler_output
    output = made(**padded, output_hidden_states=True, output_attentions=True)
    mlm, nsp = losses(output, padded)
    assert torch.allclose(output.loss, mlm + nsp)
    output.loss.backward()
    for layer, hidden in enumerate(output.hidden_states):
        values[f"hidden.{layer}"] = hidden[real]
    for layer, attention in enumerate(output.attentions):
        for index, length in enumerate(LENGTHS):
            values[f"attention.{layer}.{index}"] = attention[index, :, :length, :length]
    values["pooled"] = pooled
    values["mlm_logits"] = output.prediction_logits[real]
    values["nsp_logits"] = output.seq_relationship_logits
    values["mlm_loss"], values["nsp_loss"] = mlm.view(1), nsp.view(1)
    for name, parameter in made.named_parameters():
        values[f"gradient.{name}"] = parameter.grad
    return values


class Reference(torch.optim.Optimizer):
    """AdamW without bias correction (google-research/bert), and LAMB (You et al. 2020, algorithm 2)."""

    def __init__(self, groups, lr, betas, eps, lamb):
        super().__init__(groups, dict(lr=lr, betas=betas, eps=eps))
        self.lamb, self.t = lamb, 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        for group in self.param_groups:
            (b1, b2), decay = group["betas"], group["weight_decay"]
            for x in group["params"]:
                state = self.state[x]
                m = state["m"] = b1 * state.get("m", 0) + (1 - b1) * x.grad
                v = state["v"] = b2 * state.get("v", 0) + (1 - b2) * x.grad**2
                if self.lamb:
                    m, v = m / (1 - b1**self.t), v / (1 - b2**self.t)
                update = m / (v.sqrt() + group["eps"]) + decay * x
                ratio = 1.0
                if self.lamb and decay > 0:
                    ratio = (x.norm() / update.norm()).item()
                x.sub_(group["lr"] * ratio * update)


def train(kind, **dropout):
    """20 steps: losses before each update, and the weights after the last."""
    made = model("gelu", 1, **dropout).double().train()
    decays = lambda name: not (name.endswith("bias") or "LayerNorm" in name)
    named = list(made.named_parameters())
    groups = [
        dict(params=[p for n, p in named if decays(n)], weight_decay=0.1),
        dict(params=[p for n, p in named if not decays(n)], weight_decay=0.0),
    ]
    settings = dict(lr=5e-4, betas=(0.9, 0.999), eps=1e-6)
    if kind in ("adamw", "adamw_dropout"):
        optimizer = torch.optim.AdamW(groups, **settings)
    else:
        optimizer = Reference(groups, lamb=kind == "lamb", **settings)
    schedule = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=3, num_training_steps=STEPS)
    values, loss, norms = {}, [], []
    for step in range(STEPS):
        padded, _, _ = batch(100 + step % 3)
        # The last layer computes what the heads see.
        seen = padded["labels"] != -100
        seen[:, 0] = True
        seen = [row.nonzero().flatten().tolist() for row in seen]
        with dropping(Masks(step, SIZES["num_hidden_layers"], LENGTHS, seen)):
            mlm, nsp = losses(made(**padded), padded)
        optimizer.zero_grad()
        (mlm + nsp).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0).item())
        loss.append([mlm.item(), nsp.item()])
        optimizer.step()
        schedule.step()
    assert min(norms) > 1.0, norms  # clipping takes part
    values["losses"], values["gradient_norms"] = torch.tensor(loss), torch.tensor(norms)
    for name, parameter in made.named_parameters():
        values[f"final.{name}"] = parameter.detach()
    return values


def save(path, values):
    save_file({name: value.detach().float().contiguous() for name, value in values.items()}, path)


def models():
    for seed, activation in enumerate(ACTIVATIONS, start=1):
        path = fresh(f"models/{activation}")
        model(activation, seed).save_pretrained(path)
        save(path / "expected.safetensors", forward_and_gradients(model(activation, seed)))
    for kind in ("adamw", "adamw_uncorrected", "lamb"):
        save(HERE / f"models/gelu/{kind}.safetensors", train(kind))
    dropout = dict(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.3)
    save(HERE / "models/gelu/adamw_dropout.safetensors", train("adamw_dropout", **dropout))
    for step in range(3):
        save(HERE / f"models/gelu/batch.{step}.safetensors", batch(100 + step)[1])


def formats():
    """The weights of models/gelu in the forms that people have them in."""
    base = model("gelu", 1)
    state = load_file(HERE / "models/gelu/model.safetensors")
    decoder = {
        "cls.predictions.decoder.weight": state["bert.embeddings.word_embeddings.weight"],
        "cls.predictions.decoder.bias": state["cls.predictions.bias"],
    }
    position_ids = {"bert.embeddings.position_ids": torch.arange(17).unsqueeze(0)}

    def directory(name):
        path = fresh(f"formats/{name}")
        shutil.copy(HERE / "models/gelu/config.json", path)
        return path

    base.save_pretrained(directory("sharded"), max_shard_size="6KB")
    torch.save(state | decoder | position_ids, directory("bin") / "pytorch_model.bin")
    old_names = {}
    for name, value in state.items():
        if name.endswith("LayerNorm.weight"):
            name = name.removesuffix("weight") + "gamma"
        elif name.endswith("LayerNorm.bias"):
            name = name.removesuffix("bias") + "beta"
        old_names[name] = value
    old_names["cls.predictions.decoder.weight"] = decoder["cls.predictions.decoder.weight"].clone()
    torch.save(
        old_names | position_ids, directory("bin-old") / "pytorch_model.bin", _use_new_zipfile_serialization=False
    )
    # Transposed views, as weights converted from another framework may be.
    views = {name: value.t().contiguous().t() if value.dim() == 2 else value for name, value in state.items()}
    torch.save(views, directory("bin-views") / "pytorch_model.bin")
    for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
        save_file({k: v.to(dtype) for k, v in state.items()}, directory(name) / "model.safetensors")
    torch.save({k: v.to(torch.bfloat16) for k, v in state.items()}, directory("bin-bf16") / "pytorch_model.bin")
    encoder = BertModel(base.config)
    encoder.load_state_dict(base.bert.state_dict())
    encoder.save_pretrained(directory("encoder"))
    # A later name of the bias, and no pooler.
    masked_lm = {k: v for k, v in state.items() if not k.startswith(("bert.pooler", "cls.seq_relationship"))}
    masked_lm["cls.predictions.decoder.bias"] = masked_lm.pop("cls.predictions.bias")
    assert {k for k, _ in BertForMaskedLM(base.config).named_parameters()} == set(masked_lm) - {
        "cls.predictions.decoder.bias"
    } | {"cls.predictions.bias"}
    save_file(masked_lm, directory("masked-lm") / "model.safetensors")
    BertForSequenceClassification(base.config).save_pretrained(directory("classifier"))


TEXTS = [
    "", " ", " \t\n ", "a", "hello world", "Hello, World!", "unaffable", "don't", "it's 5 o'clock", "U.S.A.",
    "naïve café résumé", "Ångström Ärger ÖL ß ẞ", "İstanbul ışık I", "e\u0301 vs \u00e9", "a\u0300\u0301\u0302b",
    "日本語のテキスト", "漢字kanji漢字", "中文，标点。测试！", "한국어 문장입니다", "カタカナ ひらがな", "𠀀𪚥 supplementary",
    "Ελληνικά ΣΊΣΥΦΟΣ", "Русский ТЕКСТ ёЁйЙ", "עברית שלום", "العربية مَرْحَبًا", "हिन्दी नमस्ते", "ไทย ภาษา",
    "emoji 😀 👩‍👩‍👧 🇩🇪 👍🏽", "a\u200bb\u200cc\u200dd\ufeff", "nul\x00in\x01the\x7fmiddle\x85", "soft\u00adhyphen",
    "\ufffd replaced", "tabs\tand\nnew\r\nlines\x0bvt\x0cff", "nbsp\u00a0thin\u2009ideographic\u3000space",
    "https://example.org/a/b?c=d&e=f#g", "mail@example.com", "C++ & C# == 100% $5.00 €7 £8 ^_^ `x` ~y~ <z>",
    "hyphen-ated en–dash em—dash … ellipsis", "“quotes” ‘single’ «guillemets» „low“", "x" * 99, "x" * 100, "x" * 101,
    "y" * 250 + " short", "ab" * 60, "1234567890 3.14159 1,000,000 1e-5", "ＦＵＬＬＷＩＤＴＨ ｆｕｌｌ", "ﬁ ligature ﬀ", "½ ² ³ ™ ® ©",
    "[CLS] [SEP] [MASK] [PAD] [UNK]", "the [MASK] sat", "[mask] [Mask]", "##ing ##", "a##b", "_under_score_", "a_b",
    "The quick brown fox jumps over the lazy dog.", "THE QUICK BROWN FOX", "mixedCASE wORDS", "1st 2nd 3rd",
    "Zażółć gęślą jaźń", "Đặng Thị Ngọc", "smörgåsbord", "Straße", "coöperate", "ⅷ Ⅷ ①", "\u202eright to left\u202c",
    "private \ue000 use", "unassigned \u0378 point", "combining \u20dd enclosing", "word\u2060joiner", "日 本 語", "a" + "\u0301" * 30,
]


def texts():
    draw = random.Random(5)
    blocks = [
        (0x20, 0x7F), (0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xA00),
        (0x1E00, 0x2100), (0x2100, 0x2C00), (0x3000, 0x3200), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xF900, 0xFB00),
        (0xFE00, 0x10000), (0x1F300, 0x1F700), (0x20000, 0x20100), (0x0, 0x20), (0x80, 0xA0),
    ]
    made = list(TEXTS)
    for _ in range(60):
        text = ""
        while len(text) < draw.randrange(1, 40):
            block = draw.choice(blocks)
            run = [chr(draw.randrange(*block)) for _ in range(draw.randrange(1, 6))]
            text += "".join(run) + draw.choice(["", "", " ", "  "])
        made.append(text)
    return made


def tokenizers():
    every = texts()
    encodings = []
    for kind, lowercase in (("uncased", True), ("cased", False)):
        path = fresh(f"tokenizers/{kind}")
        trainer = BertWordPieceTokenizer(lowercase=lowercase, strip_accents=None)
        trainer.train_from_iterator(TEXTS * 2, vocab_size=900, min_frequency=1, show_progress=False)
        vocabulary = sorted(trainer.get_vocab(), key=trainer.get_vocab().get)
        # Some pieces are taken out again, so that words become [UNK].
        vocabulary = [t for i, t in enumerate(vocabulary) if i % 11 or t.startswith("[")]
        (path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
        settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase}
        (path / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
        reader = BertWordPieceTokenizer(str(path / "vocab.txt"), lowercase=lowercase, strip_accents=None)
        if lowercase:
            # As sentence-transformers saves them. The cased one has a vocab.txt only.
            reader.enable_truncation(16)
            reader.enable_padding(length=16)
            reader.save(str(path / "tokenizer.json"))
        reader.no_truncation()
        reader.no_padding()
        fast = BertTokenizerFast.from_pretrained(path)
        fast.backend_tokenizer.no_truncation()
        fast.backend_tokenizer.no_padding()
        cases = [(text, None, None) for text in every]
        draw = random.Random(9)
        for _ in range(120):
            pair = draw.choice(every) if draw.random() < 0.7 else None
            cases.append((draw.choice(every), pair, draw.choice([None, 3, 4, 5, 8, 13, 21])))
        for text, pair, limit in cases:
            limits = {} if limit is None else dict(truncation=True, max_length=limit)
            # In lists, as data sets are encoded: called with two strings, transformers takes an empty second for none.
            pairs = None if pair is None else [pair]
            made = fast([text], pairs, return_offsets_mapping=True, padding=False, **limits)
            made = {name: rows[0] for name, rows in made.items()}
            # The same, by the library that our tokenizer is built on.
            if limit is None:
                assert reader.encode(text, pair).ids == made["input_ids"], text
            encodings.append(dict(
                tokenizer=kind, text=text, pair=pair, max_tokens=limit, input_ids=made["input_ids"],
                token_type_ids=made["token_type_ids"], offsets=[list(o) for o in made["offset_mapping"]],
            ))
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in encodings)
    (HERE / "tokenizers/encodings.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    models()
    formats()
    tokenizers()
