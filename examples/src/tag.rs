//! The tag of every word: a word's first piece carries it.

use crate::{argmax, label, on_cpu};
use bert_core::backend::Job;
use bert_core::data::packed::{PackedSequences, Selection};
use bert_core::error::Result;
use bert_core::model::BertForTokenClassification;
use bert_core::nn::Init;
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::weights::{ModelDirectory, Part};

/// The program.
///
/// # Errors
/// What reading the model gives.
pub fn run(arguments: &[String]) -> Result<()> {
    let directory = ModelDirectory::open(&arguments[0])?;
    let head = directory.head()?;
    let most = directory.config.max_position_embeddings;
    for text in &arguments[1..] {
        let encoding = directory.tokenizer.encode_truncated(text, None, most)?;
        // The tokens that begin a word, and where the word stands in the text.
        let (mut firsts, mut places) = (Vec::new(), Vec::<(usize, usize)>::new());
        for (token, word) in encoding.words.iter().enumerate() {
            let Some(word) = word else { continue };
            let (start, end) = encoding.offsets[token];
            if *word as usize == places.len() {
                firsts.push(token);
                places.push((start, end));
            } else if let Some(place) = places.last_mut() {
                place.1 = end;
            }
        }
        let mut sequences = PackedSequences::default();
        sequences.push(&encoding.input_ids, &encoding.token_type_ids);
        let tags = on_cpu(Tag {
            directory: &directory,
            sequences,
            firsts,
        })?;
        let characters: Vec<char> = text.chars().collect();
        for ((start, end), tag) in places.into_iter().zip(tags) {
            let word: String = characters[start..end].iter().collect();
            println!("{word}\t{}", label(&head, tag));
        }
    }
    Ok(())
}

struct Tag<'a> {
    directory: &'a ModelDirectory,
    sequences: PackedSequences,
    firsts: Vec<usize>,
}

impl Job for Tag<'_> {
    type Output = Vec<usize>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<usize>> {
        let init = Init::<B::InnerBackend>::new(&self.directory.config, 0, &device);
        let labels = self.directory.head()?.labels.len().max(2);
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
