//! `fill-mask` and `next-sentence`.

use std::path::Path;

use bert_core::backend::{Job, run_on};
use bert_core::command::{print, usage};
use bert_core::config::BackendConfig;
use bert_core::data::packed::{PackedSequences, Selection};
use bert_core::error::Result;
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::tokenizer::Encoding;
use bert_core::weights::{ModelDirectory, Part};
use burn::tensor::activation::softmax;
use serde_json::json;

use super::model::{encode, load};

pub(super) fn fill_mask(
    model: &Path,
    backend: &BackendConfig,
    top_k: usize,
    texts: &[String],
    json: bool,
) -> Result<()> {
    let directory = ModelDirectory::open(model)?;
    let mask = directory.tokenizer.special().mask;
    let mut sequences = PackedSequences::default();
    let mut masks = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let encoding = encode(&directory, text, None)?;
        let start = sequences.tokens();
        let positions = encoding.input_ids.iter().enumerate();
        let of_text: Vec<usize> = positions
            .filter(|(_, id)| **id == mask)
            .map(|(at, _)| start + at)
            .collect();
        let count = of_text.len();
        masks.extend(of_text.into_iter().enumerate().map(|(number, row)| Mask {
            text: index,
            number,
            count,
            row,
        }));
        if count == 0 {
            return Err(usage(
                format!("no [MASK] in \"{text}\""),
                "put [MASK] where a word should be guessed",
            ));
        }
        sequences.push(&encoding.input_ids, &encoding.token_type_ids);
    }
    let rows: Vec<usize> = masks.iter().map(|mask| mask.row).collect();
    let probabilities = run_on(
        backend,
        FillMask {
            directory: &directory,
            sequences,
            rows,
        },
    )?;
    for (mask, row) in masks.iter().zip(probabilities) {
        let text = &texts[mask.text];
        let mut ranked: Vec<usize> = (0..row.len()).collect();
        ranked.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
        ranked.truncate(top_k);
        let word = |id: usize| directory.tokenizer.token(id as u32).unwrap_or("[unused]");
        let predictions: Vec<_> = ranked
            .iter()
            .map(|&id| json!({"token": word(id), "id": id, "probability": row[id]}))
            .collect();
        let value = json!({"text": text, "mask": mask.number, "predictions": predictions});
        print(json, &value, || {
            let lines = ranked
                .iter()
                .map(|&id| format!("  {:>6.2} %  {}", 100.0 * row[id], word(id)));
            let which = match mask.count {
                1 => String::new(),
                count => format!("   ([MASK] {} of {count})", mask.number + 1),
            };
            format!("{text}{which}\n{}", lines.collect::<Vec<_>>().join("\n"))
        })?;
    }
    Ok(())
}

/// A `[MASK]` of a text.
struct Mask {
    text: usize,
    /// Which of the text's, from 0.
    number: usize,
    /// How many the text has.
    count: usize,
    /// Its row among the tokens of all texts.
    row: usize,
}

struct FillMask<'a> {
    directory: &'a ModelDirectory,
    sequences: PackedSequences,
    rows: Vec<usize>,
}

impl Job for FillMask<'_> {
    /// Probabilities of every word, for every row.
    type Output = Vec<Vec<f32>>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<Vec<f32>>> {
        let ModelDirectory { path, config, .. } = self.directory;
        let model = load::<B>(path, config, &[Part::MaskedLmHead], &device)?;
        let batch = self.sequences.to_device(&device);
        let masked = Selection::new(self.rows.iter().copied(), &batch.sequences, &device);
        let dropout = DropoutKey::inference();
        let states = model.bert.forward_selected(&batch, &masked, &dropout);
        let logits = model.masked_lm_logits(states, masked.places(self.rows, &device));
        let [_, vocabulary] = logits.dims();
        let flat: Vec<f32> = softmax(logits, 1).into_data().iter::<f32>().collect();
        Ok(flat.chunks(vocabulary).map(<[f32]>::to_vec).collect())
    }
}

pub(super) fn next_sentence(
    model: &Path,
    backend: &BackendConfig,
    a: &str,
    b: &str,
    json: bool,
) -> Result<()> {
    let directory = ModelDirectory::open(model)?;
    let encoding = encode(&directory, a, Some(b))?;
    let logits = run_on(
        backend,
        NextSentence {
            directory: &directory,
            encoding,
        },
    )?;
    let is_next = 1.0 / (1.0 + (f64::from(logits[1]) - f64::from(logits[0])).exp());
    let value = json!({
        "logits": logits,
        "probabilities": {"is_next": is_next, "is_not_next": 1.0 - is_next},
    });
    print(json, &value, || {
        format!(
            "B follows A: {:.2} %   (logits {:.4}, {:.4})",
            100.0 * is_next,
            logits[0],
            logits[1]
        )
    })
}

struct NextSentence<'a> {
    directory: &'a ModelDirectory,
    encoding: Encoding,
}

impl Job for NextSentence<'_> {
    type Output = Vec<f32>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<f32>> {
        let needed = [Part::Pooler, Part::NextSentenceHead];
        let ModelDirectory { path, config, .. } = self.directory;
        let model = load::<B>(path, config, &needed, &device)?;
        let mut sequences = PackedSequences::default();
        sequences.push(&self.encoding.input_ids, &self.encoding.token_type_ids);
        let batch = sequences.to_device(&device);
        let pooled = model.bert.forward_pooled(&batch, &DropoutKey::inference());
        let logits = model.next_sentence_logits(pooled);
        Ok(logits.into_data().iter::<f32>().collect())
    }
}
