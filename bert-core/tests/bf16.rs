//! Products in bf16, which are set for a whole process: this one.
#![cfg(feature = "ndarray")]

use bert_core::backend::{Job, run_on_cpu};
use bert_core::config::{BertConfig, Compute, OptimizerConfig, from_value};
use bert_core::data::packed::PackedSequences;
use bert_core::data::random::generator;
use bert_core::error::{Error, Result};
use bert_core::model::{BertForPreTraining, PreTrainingLabels};
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::optim::BertOptimizer;
use burn::optim::{GradientsParams, Optimizer};
use rand::Rng;

/// Trains a small model on examples whose masked words follow from their neighbours; the loss of every step.
struct Training {
    steps: usize,
}

impl Job for Training {
    type Output = Vec<f64>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<f64>> {
        let value = serde_json::json!({
            "vocab_size": 60, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 128, "max_position_embeddings": 32,
        });
        let config: BertConfig = from_value("test", value)?;
        let mut model = BertForPreTraining::<B>::new(&config, 1, &device);
        let mut optimizer = BertOptimizer::<B>::new(OptimizerConfig::default(), Some(1.0));
        let mut losses = Vec::new();
        for step in 0..self.steps {
            let mut random = generator(1, "examples", &[step as u64]);
            let mut sequences = PackedSequences::default();
            let (mut rows, mut words) = (Vec::new(), Vec::new());
            for _ in 0..16 {
                let first = random.random_range(10..30);
                let length = random.random_range(5..20);
                rows.push(sequences.tokens() + 2);
                words.push(first + 20);
                let mut ids = vec![first; length];
                ids[0] = 2;
                ids[2] = 4;
                sequences.push(&ids, &vec![0; length]);
            }
            let labels = PreTrainingLabels {
                masked_rows: &rows,
                masked_labels: &words,
                next_sentence: None,
                mlm_weight: 1.0 / 16.0,
            };
            let batch = sequences.to_device(&device);
            let loss = model.loss(&batch, labels, &DropoutKey::training(step as u64));
            let mean = loss.mlm_sum.mul_scalar(1.0 / 16.0);
            losses.extend(mean.to_data().iter::<f64>());
            let grads = GradientsParams::from_grads(mean.backward(), &model);
            model = optimizer.step(1e-3, model, grads);
        }
        Ok(losses)
    }
}

#[test]
fn the_loss_falls_as_in_f32_or_the_processor_is_said_to_lack_it() {
    let losses = |compute| run_on_cpu(compute, Training { steps: 60 });
    let f32 = losses(Compute::F32).expect("f32 runs everywhere");
    match losses(Compute::Bf16) {
        Ok(bf16) => {
            assert_ne!(f32, bf16, "nothing was rounded");
            for (step, (f32, bf16)) in f32.iter().zip(&bf16).enumerate() {
                assert!(
                    (f32 - bf16).abs() < 0.02 * (1.0 + f32),
                    "step {step}: {f32} and {bf16}"
                );
            }
            assert!(bf16[59] < 0.7 * bf16[0], "{bf16:?}");
        }
        Err(error @ Error::Backend { .. }) => {
            assert!(error.to_string().contains("AVX512_BF16"), "{error}");
        }
        Err(error) => panic!("{error}"),
    }
    // The setting does not outlast its job's configuration.
    assert_eq!(losses(Compute::F32).expect("f32 again"), f32);
}
