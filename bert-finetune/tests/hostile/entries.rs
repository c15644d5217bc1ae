//! Where this crate reads what strangers wrote. Each entry point takes any bytes, reads all it would read of a good
//! input, and returns whether this was one. The first byte says what the rest is.

#[path = "../../../bert-core/tests/hostile/input.rs"]
mod input;

use std::path::Path;

use bert_core::config::{BertConfig, from_value};
use bert_core::tokenizer::BertTokenizer;
use bert_finetune::config::{ClassWeights, FinetuneConfig, TaskConfig};
use bert_finetune::examples::Classes;
use bert_finetune::tasks::Task;
use bert_finetune::tasks::choice::ChoiceTask;
use bert_finetune::tasks::encoder::Encoder;
use bert_finetune::tasks::questions::QuestionTask;
use bert_finetune::tasks::sequence::SequenceTask;
use bert_finetune::tasks::tokens::TokenTask;
use input::{empty, put};
use serde_json::json;

thread_local! {
    static TOKENIZER: (BertTokenizer, BertConfig) = model();
}

fn model() -> (BertTokenizer, BertConfig) {
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n##a\n##b\n##c\nthe\n.\n";
    let directory = tempfile::tempdir().unwrap();
    let path = put(directory.path(), "vocab.txt", vocabulary.as_bytes());
    let tokenizer = BertTokenizer::load(&path).unwrap();
    let sizes = json!({
        "vocab_size": tokenizer.vocab_size(), "hidden_size": 6, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 6, "max_position_embeddings": 24,
    });
    (tokenizer, from_value("model", sizes).unwrap())
}

/// A configuration file, and overrides after zero bytes.
pub(crate) fn finetune_config(bytes: &[u8]) -> bool {
    input::configuration::<FinetuneConfig>(bytes)
}

/// A labelled file: every row read, the labels learnt, every row that can be encoded and answered.
pub(crate) fn labelled(bytes: &[u8]) -> bool {
    let Some((&kind, content)) = bytes.split_first() else {
        return false;
    };
    let directory = empty();
    let suffix = if kind & 0x80 == 0 { "" } else { ".gz" };
    let (task, name) = match kind & 7 {
        0 => (json!({"type": "classification"}), "d.csv"),
        1 => (
            json!({"type": "classification", "text_pair": "text_pair"}),
            "d.tsv",
        ),
        2 => (json!({"type": "multi_label"}), "d.jsonl"),
        3 => (json!({"type": "regression"}), "d.jsonl"),
        4 => (json!({"type": "tokens"}), "d.conll"),
        5 => (json!({"type": "tokens"}), "d.jsonl"),
        6 => (
            json!({"type": "question_answering", "doc_stride": 4}),
            "d.json",
        ),
        _ => (json!({"type": "multiple_choice"}), "d.jsonl"),
    };
    let path = put(&directory, &format!("{name}{suffix}"), content);
    match from_value("task", task).unwrap() {
        TaskConfig::Sequence(config) => read::<SequenceTask>(&config, &path),
        TaskConfig::Tokens(config) => read::<TokenTask>(&config, &path),
        TaskConfig::Questions(config) => read::<QuestionTask>(&config, &path),
        TaskConfig::Choice(config) => read::<ChoiceTask>(&config, &path),
    }
}

fn read<T: Task>(config: &T::Config, path: &Path) -> bool {
    let Ok(rows) = T::read(config, path, true) else {
        return false;
    };
    let rows: Vec<_> = rows.collect();
    let mut good = rows.iter().all(Result::is_ok);
    let records: Vec<T::Record> = rows.into_iter().filter_map(Result::ok).collect();
    let classes = Classes {
        label_smoothing: 0.1,
        weights: ClassWeights::Balanced,
    };
    let learnt = T::learn(config, &records, &[]);
    let Ok(task) = learnt.and_then(|task| task.weighed(&classes, &records)) else {
        return false;
    };
    let encoder = TOKENIZER.with(|(tokenizer, config)| Encoder::new(tokenizer.clone(), config, 24));
    let mut scorer = task.scorer();
    for record in &records {
        let Ok((examples, layout)) = task.encode(&encoder, record) else {
            good = false;
            continue;
        };
        let scores = examples.iter().map(|example| {
            let count = example.rows * task.outputs();
            (0..count).map(|score| (score % 7) as f32 - 3.0).collect()
        });
        let scores: Vec<Vec<f32>> = scores.collect();
        let _ = task.answer(record, &layout, &scores);
        scorer.add(record, &layout, &scores);
    }
    let _ = scorer.report();
    good
}
