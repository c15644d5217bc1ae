//! A vector for every text, the mean of its tokens at length 1, and its cosine similarity with the first text: what models
//! of sentence-transformers are for.

use crate::{on_cpu, pack};
use bert_core::backend::Job;
use bert_core::error::Result;
use bert_core::model::BertModel;
use bert_core::nn::{Init, mean_pooled};
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::weights::ModelDirectory;

/// The program: a line a text, with its similarity, itself and the numbers of its vector.
///
/// # Errors
/// What reading the model gives.
pub fn run(arguments: &[String]) -> Result<()> {
    let (directory, texts) = (&arguments[0], &arguments[1..]);
    let directory = ModelDirectory::open(directory)?;
    let vectors = on_cpu(Embed {
        directory: &directory,
        texts,
    })?;
    for (text, vector) in texts.iter().zip(&vectors) {
        let products = vector.iter().zip(&vectors[0]).map(|(a, b)| a * b);
        let similarity: f32 = products.sum();
        let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
        println!("{similarity:.4}\t{text}\t{}", numbers.join(" "));
    }
    Ok(())
}

struct Embed<'a> {
    directory: &'a ModelDirectory,
    texts: &'a [String],
}

impl Job for Embed<'_> {
    type Output = Vec<Vec<f32>>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<Vec<f32>>> {
        let config = &self.directory.config;
        let init = Init::<B::InnerBackend>::new(config, 0, &device);
        // The encoder alone: whatever head the directory has is not used.
        let (model, _) = self
            .directory
            .load(BertModel::new(config, &init), &device)?;

        let texts = self.texts.iter().map(|text| (text.as_str(), None));
        let batch = pack(self.directory, texts)?.to_device(&device);
        let states = model.forward_states(&batch, &DropoutKey::inference());
        // [tokens, hidden] -> [texts, hidden]
        let means = mean_pooled(states, &batch.sequences);
        let norms = means.clone().powi_scalar(2).sum_dim(1).sqrt();
        let flat: Vec<f32> = (means / norms).into_data().iter().collect();
        Ok(flat
            .chunks(config.hidden_size)
            .map(<[f32]>::to_vec)
            .collect())
    }
}
