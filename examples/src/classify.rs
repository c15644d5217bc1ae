//! Which class a text has.

use crate::{argmax, label, on_cpu, pack};
use bert_core::backend::Job;
use bert_core::error::Result;
use bert_core::model::BertForSequenceClassification;
use bert_core::nn::Init;
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::weights::{ModelDirectory, Part};
use burn::tensor::activation::softmax;

/// The program.
///
/// # Errors
/// What reading the model gives.
pub fn run(arguments: &[String]) -> Result<()> {
    let (directory, texts) = (&arguments[0], &arguments[1..]);
    let directory = ModelDirectory::open(directory)?;
    let head = directory.head()?;
    let probabilities = on_cpu(Classify {
        directory: &directory,
        texts,
    })?;
    for (text, probabilities) in texts.iter().zip(probabilities) {
        let best = argmax(&probabilities);
        let percent = 100.0 * probabilities[best];
        println!("{}  {percent:.2} %  {text}", label(&head, best));
    }
    Ok(())
}

struct Classify<'a> {
    directory: &'a ModelDirectory,
    texts: &'a [String],
}

impl Job for Classify<'_> {
    type Output = Vec<Vec<f32>>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<Vec<f32>>> {
        // The backend inside: nothing is differentiated.
        let init = Init::<B::InnerBackend>::new(&self.directory.config, 0, &device);
        let labels = self.directory.head()?.labels.len().max(2);
        let model = BertForSequenceClassification::new(&self.directory.config, labels, &init);
        let model =
            (self.directory).load_whole(model, &[Part::Pooler, Part::Classifier], &device)?;

        let texts = self.texts.iter().map(|text| (text.as_str(), None));
        let batch = pack(self.directory, texts)?.to_device(&device);
        // [texts, labels]
        let logits = model.forward(&batch, &DropoutKey::inference());
        let flat: Vec<f32> = softmax(logits, 1).into_data().iter().collect();
        Ok(flat.chunks(labels).map(<[f32]>::to_vec).collect())
    }
}
