//! Which of several answers is right.

use crate::{argmax, on_cpu, pack};
use bert_core::backend::Job;
use bert_core::error::Result;
use bert_core::model::BertForMultipleChoice;
use bert_core::nn::Init;
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::weights::{ModelDirectory, Part};

/// The program.
///
/// # Errors
/// What reading the model gives.
pub fn run(arguments: &[String]) -> Result<()> {
    let (question, choices) = (&arguments[1], &arguments[2..]);
    let directory = ModelDirectory::open(&arguments[0])?;
    let scores = on_cpu(Choose {
        directory: &directory,
        question,
        choices,
    })?;
    println!("{}", choices[argmax(&scores)]);
    Ok(())
}

struct Choose<'a> {
    directory: &'a ModelDirectory,
    question: &'a str,
    choices: &'a [String],
}

impl Job for Choose<'_> {
    type Output = Vec<f32>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<f32>> {
        let init = Init::<B::InnerBackend>::new(&self.directory.config, 0, &device);
        let model = BertForMultipleChoice::new(&self.directory.config, &init);
        let model =
            (self.directory).load_whole(model, &[Part::Pooler, Part::Classifier], &device)?;
        // Each choice makes a sequence with the question.
        let pairs = self.choices.iter();
        let pairs = pairs.map(|choice| (self.question, Some(choice.as_str())));
        let batch = pack(self.directory, pairs)?.to_device(&device);
        // [choices, 1]
        let scores = model.forward(&batch, &DropoutKey::inference());
        Ok(scores.into_data().iter().collect())
    }
}
