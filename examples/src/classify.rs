//! Which class a text has, which labels, or which number: as the model was trained.

use crate::{argmax, label, on_cpu, pack};
use bert_core::backend::Job;
use bert_core::error::Result;
use bert_core::model::BertForSequenceClassification;
use bert_core::nn::Init;
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::weights::{Head, ModelDirectory, Part, ProblemType};
use burn::tensor::activation::{sigmoid, softmax};

/// The program.
///
/// # Errors
/// What reading the model gives.
pub fn run(arguments: &[String]) -> Result<()> {
    let (directory, texts) = (&arguments[0], &arguments[1..]);
    let directory = ModelDirectory::open(directory)?;
    let head = directory.head()?;
    // Where config.json does not say, one output is a number, as in transformers.
    let kind = head.problem_type.unwrap_or(match head.labels.len() {
        1 => ProblemType::Regression,
        _ => ProblemType::SingleLabel,
    });
    let answers = on_cpu(Classify {
        directory: &directory,
        head: &head,
        kind,
        texts,
    })?;
    let percent = |output: usize, p: f32| format!("{}  {:.2} %  ", label(&head, output), 100.0 * p);
    for (text, values) in texts.iter().zip(answers) {
        let numbered = values.iter().enumerate();
        let shown: String = match kind {
            ProblemType::SingleLabel => {
                let best = argmax(&values);
                percent(best, values[best])
            }
            ProblemType::MultiLabel => numbered.map(|(output, &p)| percent(output, p)).collect(),
            ProblemType::Regression => values.iter().map(|value| format!("{value:.4}  ")).collect(),
        };
        println!("{shown}{text}");
    }
    Ok(())
}

struct Classify<'a> {
    directory: &'a ModelDirectory,
    head: &'a Head,
    kind: ProblemType,
    texts: &'a [String],
}

impl Job for Classify<'_> {
    type Output = Vec<Vec<f32>>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<Vec<f32>>> {
        // The backend inside: nothing is differentiated.
        let init = Init::<B::InnerBackend>::new(&self.directory.config, 0, &device);
        let outputs = self.head.labels.len().max(1);
        let model = BertForSequenceClassification::new(&self.directory.config, outputs, &init);
        let model =
            (self.directory).load_whole(model, &[Part::Pooler, Part::Classifier], &device)?;

        let texts = self.texts.iter().map(|text| (text.as_str(), None));
        let batch = pack(self.directory, texts)?.to_device(&device);
        // [texts, outputs]
        let logits = model.forward(&batch, &DropoutKey::inference());
        let values = match self.kind {
            ProblemType::SingleLabel => softmax(logits, 1),
            ProblemType::MultiLabel => sigmoid(logits),
            ProblemType::Regression => logits,
        };
        let flat: Vec<f32> = values.into_data().iter().collect();
        Ok(flat.chunks(outputs).map(<[f32]>::to_vec).collect())
    }
}
