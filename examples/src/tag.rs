//! The tag of every word: a word's first piece carries it.

use crate::{argmax, encode, label, on_cpu};
use bert_core::backend::Job;
use bert_core::data::packed::{PackedSequences, Selection};
use bert_core::error::Result;
use bert_core::model::BertForTokenClassification;
use bert_core::nn::Init;
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::weights::{Head, ModelDirectory, Part};

/// The program.
///
/// # Errors
/// What reading the model gives.
pub fn run(arguments: &[String]) -> Result<()> {
    let directory = ModelDirectory::open(&arguments[0])?;
    let head = directory.head()?;
    let mut sequences = PackedSequences::default();
    // The tokens of the batch that begin a word, and the words.
    let (mut firsts, mut words) = (Vec::new(), Vec::<String>::new());
    for text in &arguments[1..] {
        let encoding = encode(&directory, text, None)?;
        let characters: Vec<char> = text.chars().collect();
        let mut last = None;
        for (token, word) in encoding.words.iter().enumerate() {
            if word.is_none() {
                continue;
            }
            let (start, end) = encoding.offsets[token];
            let piece = &characters[start..end];
            match words.last_mut() {
                Some(whole) if *word == last => whole.extend(piece),
                _ => {
                    firsts.push(sequences.tokens() + token);
                    words.push(piece.iter().collect());
                }
            }
            last = *word;
        }
        sequences.push(&encoding.input_ids, &encoding.token_type_ids);
    }
    if words.is_empty() {
        return Ok(());
    }
    let tags = on_cpu(Tag {
        directory: &directory,
        head: &head,
        sequences,
        firsts,
    })?;
    for (word, tag) in words.into_iter().zip(tags) {
        println!("{word}\t{}", label(&head, tag));
    }
    Ok(())
}

struct Tag<'a> {
    directory: &'a ModelDirectory,
    head: &'a Head,
    sequences: PackedSequences,
    firsts: Vec<usize>,
}

impl Job for Tag<'_> {
    type Output = Vec<usize>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<usize>> {
        let init = Init::<B::InnerBackend>::new(&self.directory.config, 0, &device);
        let labels = self.head.labels.len().max(1);
        let model = BertForTokenClassification::new(&self.directory.config, labels, &init);
        let model = (self.directory).load_whole(model, &[Part::Classifier], &device)?;

        let batch = self.sequences.to_device(&device);
        let selection = Selection::new(self.firsts, &batch.sequences, &device);
        // [words, labels]
        let logits = model.forward(&batch, &selection, &DropoutKey::inference());
        let flat: Vec<f32> = logits.into_data().iter().collect();
        Ok(flat.chunks(labels).map(argmax).collect())
    }
}
