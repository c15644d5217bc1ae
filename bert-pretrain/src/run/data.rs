//! The commands that only touch data.

use std::path::Path;
use std::sync::Arc;

use bert_core::command::{print, say};
use bert_core::error::Result;
use serde_json::json;

use crate::config::PretrainConfig;
use crate::corpus::{DocumentStore, Prepared, Settings, learn_or_load_tokenizer};
use crate::examples::{BatchStream, ReadableExample, Vocabulary, legend, render};

pub(super) fn tokenizer(config: &PretrainConfig, json: bool) -> Result<()> {
    let tokenizer = learn_or_load_tokenizer(Settings::from(config))?;
    let directory = config.run_dir.join("tokenizer");
    tokenizer.save(&directory, None)?;
    let value = json!({"vocab_size": tokenizer.vocab_size(), "lowercase": tokenizer.lowercase(), "directory": directory.to_string_lossy()});
    print(json, &value, || {
        format!(
            "{} tokens, {}, in {}",
            tokenizer.vocab_size(),
            if tokenizer.lowercase() {
                "uncased"
            } else {
                "cased"
            },
            directory.display()
        )
    })
}

pub(super) fn prepare(config: &PretrainConfig, json: bool) -> Result<()> {
    let prepared = crate::corpus::prepare(Settings::from(config))?;
    let value = json!({
        "directory": prepared.directory.to_string_lossy(),
        "from_cache": prepared.from_cache,
        "seconds": prepared.seconds,
        "statistics": prepared.statistics,
        "train_documents": prepared.corpus.train.documents(),
        "valid_documents": prepared.corpus.valid.documents(),
        "vocab_size": prepared.tokenizer.vocab_size(),
    });
    print(json, &value, || summary(&prepared))
}

/// One paragraph about a prepared corpus.
pub(super) fn summary(prepared: &Prepared) -> String {
    let statistics = &prepared.statistics;
    let rate = statistics.text_bytes as f64 / 1e6 / prepared.seconds.max(1e-9);
    let how = if prepared.from_cache {
        "found prepared".to_string()
    } else {
        format!("prepared in {:.1} s, {rate:.1} MB/s", prepared.seconds)
    };
    let left_out = match statistics.bad_lines {
        0 => String::new(),
        lines => format!(", {lines} lines left out"),
    };
    format!(
        "corpus     {} documents ({} to train on, {} held out, {} duplicates and {} empty ones dropped{left_out}), {:.1} MB, {} training tokens ({:.2} % unknown); {how}\n\
         tokenizer  {} tokens, {}",
        statistics.documents,
        prepared.corpus.train.documents(),
        prepared.corpus.valid.documents(),
        statistics.duplicates,
        statistics.empty,
        statistics.text_bytes as f64 / 1e6,
        statistics.tokens,
        100.0 * statistics.unknown as f64 / statistics.tokens.max(1) as f64,
        prepared.tokenizer.vocab_size(),
        if prepared.tokenizer.lowercase() {
            "uncased"
        } else {
            "cased"
        },
    )
}

pub(super) fn show_examples(config: &PretrainConfig, count: usize, json: bool) -> Result<()> {
    let prepared = crate::corpus::prepare(Settings::from(config))?;
    let vocabulary = Arc::new(Vocabulary::of(&prepared.tokenizer)?);
    let mut stream = BatchStream::new(
        Arc::new(prepared.corpus.train),
        &config.examples,
        vocabulary.clone(),
        config.seed,
        config.training.batch_tokens,
    )?;
    let token = |id: u32| prepared.tokenizer.token(id).unwrap_or("[?]").to_string();
    let color = std::io::IsTerminal::is_terminal(&std::io::stdout()) && !json;
    if !json {
        say(format!("{}\n", legend(color)))?;
    }
    let mut shown = 0;
    while shown < count {
        let (batch, _) = stream.next_batch();
        for example in batch.into_iter().take(count - shown) {
            if json {
                say(json!(ReadableExample::new(&example, &token)))?;
            } else {
                say(render(shown, &example, &vocabulary, &token, color))?;
            }
            shown += 1;
        }
    }
    Ok(())
}

pub(super) fn sample_data(directory: &Path, seed: u64, json: bool) -> Result<()> {
    let files = bert_core::sample_data::write(directory, seed)?;
    let value = json!(
        files
            .iter()
            .map(|file| json!({"path": file.path.to_string_lossy(), "rows": file.rows, "what": file.what}))
            .collect::<Vec<_>>()
    );
    print(json, &value, || {
        let lines = files.iter().map(|file| {
            let path = file.path.display().to_string();
            format!("{path:<48} {:>7}  {}", file.rows, file.what)
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}
