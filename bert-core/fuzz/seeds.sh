#!/usr/bin/env bash
# Good files to begin with, each after the bytes that say what it is.
set -euo pipefail
cd "$(dirname "$0")"
root=../..
golden=../tests/golden
seed() { # seed TARGET NAME KIND-IN-OCTAL FILE
  mkdir -p "corpus/$1"
  { printf "\\$3"; cat "$4"; } >"corpus/$1/$2"
}
for file in "$root"/configs/model/*.json; do seed configs "model-$(basename "$file")" 000 "$file"; done
for file in "$root"/configs/pretrain/*.json; do seed configs "pretrain-$(basename "$file")" 001 "$file"; done
for file in "$root"/configs/finetune/*.json; do seed configs "finetune-$(basename "$file")" 002 "$file"; done
seed tokenizers json 000 $golden/tokenizers/uncased/tokenizer.json
seed tokenizers vocab 001 $golden/tokenizers/uncased/vocab.txt
seed tokenizers settings 002 $golden/tokenizers/uncased/tokenizer_config.json
seed weights safetensors 000 $golden/formats/f16/model.safetensors
for form in bin bin-old bin-bf16 bin-views; do seed weights $form 001 $golden/formats/$form/pytorch_model.bin; done
seed weights index 002 $golden/formats/sharded/model.safetensors.index.json
seed weights config 003 $golden/formats/sharded/config.json
text=$(mktemp)
trap 'rm -f "$text"' EXIT
printf 'One sentence. Another.\r\nA line.\n\n \nA second document\nends here' >"$text"
seed corpora lines 000 "$text"
seed corpora running 004 "$text"
seed corpora files 010 "$text"
gzip -9 -c "$text" >"$text.gz" && seed corpora gz 001 "$text.gz" && rm "$text.gz"
printf '{"text": "One. Two."}\n\n{"text": "\\u00e9", "n": [1, {}]}\n' >"$text"
seed corpora jsonl 003 "$text"
printf '\n\0\0\0\5\0\6\0\7\0\10\0\11\0\30\0\0\0\3\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0' >"$text"
printf '\20\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0' >>"$text"
seed corpora shards 377 "$text"
printf 'text,label\r\nthe a,x\n"b ""c"", a\nb",y\nabc,x\n' >"$text"
seed labelled csv 000 "$text"
printf 'text\ttext_pair\tlabel\na\tb\tx\nthe\tc c\ty\n' >"$text"
seed labelled tsv 001 "$text"
printf '{"text": "a b", "labels": ["x", "y"]}\n{"text": "c", "labels": []}\n' >"$text"
seed labelled multi_label 002 "$text"
printf '{"text": "a b", "label": 1.5}\n\n{"text": "c", "label": -2}\n' >"$text"
seed labelled regression 003 "$text"
printf -- '-DOCSTART- -X- O\n\nthe DT O\nab NN B-PER\nc NN I-PER\n\n# id = 1\na X B-LOC\nabc X O\n' >"$text"
seed labelled conll 004 "$text"
gzip -9 -c "$text" >"$text.gz" && seed labelled conll-gz 204 "$text.gz" && rm "$text.gz"
printf '{"tokens": ["a", "b"], "tags": ["O", "B-X"]}\n{"tokens": ["c"], "tags": ["O"]}\n' >"$text"
seed labelled tagged 005 "$text"
printf '{"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "the a b c. a b c", "qas": [' >"$text"
printf '{"id": "1", "question": "the a?", "answers": [{"text": "b c", "answer_start": 6}]},' >>"$text"
printf '{"id": 2, "question": "b", "answers": [], "is_impossible": true}]}]}]}' >>"$text"
seed labelled squad 006 "$text"
printf '{"question": "a b", "choices": ["c", "a b"], "label": 1}\n{"question": "c", "choices": ["a", "b"], "label": 0}\n' >"$text"
seed labelled choices 007 "$text"
