//! Trains a classifier on a few sentences, step by step: loss, backward pass, update; then asks it, and writes it as a model
//! directory. `bert-finetune train` does the rest: data files, schedules, checkpoints, metrics.

use std::path::Path;

use crate::{argmax, on_cpu, pack};
use bert_core::backend::Job;
use bert_core::config::{AdamConfig, OptimizerConfig};
use bert_core::error::Result;
use bert_core::files::{must_be_free, write_directory_atomically};
use bert_core::loss::cross_entropy;
use bert_core::model::BertForSequenceClassification;
use bert_core::nn::Init;
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::optim::BertOptimizer;
use bert_core::weights::{Head, ModelDirectory, Part, ProblemType, save_model};
use burn::module::AutodiffModule;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

const LABELS: [&str; 2] = ["negative", "positive"];

const SENTENCES: [(&str, usize); 6] = [
    ("A wonderful evening.", 1),
    ("I was bored to tears.", 0),
    ("The soup was cold and the waiter rude.", 0),
    ("Everybody loved it.", 1),
    ("We shall never come back.", 0),
    ("The best cake in town.", 1),
];

const STEPS: u64 = 30;

/// The program.
///
/// # Errors
/// What reading the model gives, and where there is something already in the place of the output.
pub fn run(arguments: &[String]) -> Result<()> {
    let directory = ModelDirectory::open(&arguments[0])?;
    let output = arguments.get(1).map(Path::new);
    if let Some(output) = output {
        must_be_free(output)?;
    }
    on_cpu(FineTune {
        directory: &directory,
        output,
    })
}

struct FineTune<'a> {
    directory: &'a ModelDirectory,
    output: Option<&'a Path>,
}

impl Job for FineTune<'_> {
    type Output = ();

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<()> {
        let init = Init::<B>::new(&self.directory.config, 1, &device);
        let model = BertForSequenceClassification::new(&self.directory.config, 2, &init);
        // The body of the directory, with a new head.
        let without = [Part::Classifier].into();
        let (mut model, _) = self.directory.load_without(model, &without, &device)?;

        let adam = AdamConfig {
            learning_rate: 5e-4,
            ..Default::default()
        };
        let learning_rate = adam.learning_rate;
        let mut optimizer = BertOptimizer::<B>::new(OptimizerConfig::Adamw(adam), Some(1.0));

        let texts = SENTENCES.map(|(text, _)| (text, None));
        let batch = pack(self.directory, texts)?.to_device(&device);
        let targets = SENTENCES.map(|(_, label)| [(1 - label) as f32, label as f32]);
        let targets = Tensor::<B, 2>::from_data(targets, &device);
        for step in 1..=STEPS {
            let logits = model.forward(&batch, &DropoutKey::training(step));
            let loss = cross_entropy(logits, targets.clone()) / SENTENCES.len() as f64;
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(learning_rate, model, gradients);
            if step % 10 == 0 {
                println!("step {step:>3}  loss {:.4}", loss.into_scalar());
            }
        }

        // The model on the backend inside: nothing is differentiated any more.
        let model = model.valid();
        let batch = pack(self.directory, texts)?.to_device(&device);
        let logits = model.forward(&batch, &DropoutKey::inference());
        // [sentences, labels]
        let probabilities: Vec<f32> = softmax(logits, 1).into_data().iter().collect();
        for ((text, _), probabilities) in SENTENCES.iter().zip(probabilities.chunks(LABELS.len())) {
            let best = argmax(probabilities);
            let percent = 100.0 * probabilities[best];
            println!("{}  {percent:.2} %  {text}", LABELS[best]);
        }
        let Some(output) = self.output else {
            return Ok(());
        };
        let head = Head {
            architecture: "BertForSequenceClassification".into(),
            labels: LABELS.map(str::to_string).to_vec(),
            problem_type: Some(ProblemType::SingleLabel),
        };
        let ModelDirectory {
            config, tokenizer, ..
        } = self.directory;
        write_directory_atomically(output, |directory| {
            save_model(directory, &model, config, &head, &[].into())?;
            tokenizer.save(directory, Some(config.max_position_embeddings))
        })
    }
}
