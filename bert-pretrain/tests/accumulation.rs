//! Accumulating over micro-batches is the same as one big batch.
#![cfg(feature = "ndarray")]

use bert_core::config::{BertConfig, from_value};
use bert_core::train::TaskBatch;
use bert_pretrain::examples::{Example, Origin};
use bert_pretrain::task::{Pretraining, PretrainingBatch};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use burn_train::TrainStep;
use serde_json::json;

type B = Autodiff<NdArray<f64>>;

/// Sequences of different lengths with different numbers of masked tokens: a mean of means would be another number.
fn examples() -> Vec<Example> {
    let lengths = [(11, 1), (4, 2), (9, 5), (5, 1), (7, 3)];
    lengths
        .into_iter()
        .enumerate()
        .map(|(index, (length, masked))| Example {
            input_ids: (0..length).map(|i| (i * 5 + index as u32) % 17).collect(),
            token_type_ids: (0..length).map(|i| u8::from(i > 2)).collect(),
            masked_positions: (1..=masked).collect(),
            masked_labels: (0..masked).map(|i| 5 + i * 2).collect(),
            next_sentence_label: Some((index % 2) as u8),
            origin: Origin {
                document: index,
                first_sentence: 0,
                random_document: None,
                cut_tokens: 0,
                epoch: 0,
            },
        })
        .collect()
}

struct Collect<'a>(&'a GradientsParams, Vec<f64>);

impl ModuleVisitor<B> for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        type Inner = <B as AutodiffBackend>::InnerBackend;
        let gradient = self
            .0
            .get::<Inner, D>(param.id)
            .expect("every parameter is reached");
        self.1.extend(gradient.into_data().iter::<f64>());
    }
}

/// The gradient of one optimizer step over these micro-batches, and its summed statistics.
fn step(model: &Pretraining<B>, groups: &[&[Example]]) -> (Vec<f64>, Vec<f64>) {
    let mut batches: Vec<PretrainingBatch> = groups
        .iter()
        .map(|examples| PretrainingBatch::new(examples, Default::default()))
        .collect();
    PretrainingBatch::join(&mut batches, 3);
    let mut accumulator = GradientsAccumulator::new();
    let mut statistics = vec![0.0; 6];
    for batch in batches {
        let output = TrainStep::step(model, batch);
        accumulator.accumulate(model, output.grads);
        for (sum, value) in statistics.iter_mut().zip(output.item.into_statistics()) {
            *sum += value;
        }
    }
    let gradients = accumulator.grads();
    let mut collect = Collect(&gradients, Vec::new());
    model.visit(&mut collect);
    (collect.1, statistics)
}

#[test]
fn accumulation_over_micro_batches_equals_one_big_batch() {
    let config: BertConfig = from_value(
        "test",
        json!({
            "vocab_size": 17, "hidden_size": 6, "num_hidden_layers": 2, "num_attention_heads": 3,
            "intermediate_size": 10, "max_position_embeddings": 12, "initializer_range": 0.3,
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        }),
    )
    .expect("valid");
    let model = Pretraining::<B>::new(&config, 9, &Default::default());
    let all = examples();
    let (whole, sums) = step(&model, &[&all]);
    let (parts, part_sums) = step(&model, &[&all[..1], &all[1..4], &all[4..]]);
    assert_eq!(whole.len(), parts.len());
    for (a, b) in whole.iter().zip(&parts) {
        assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{a} is not {b}");
    }
    for (a, b) in sums.iter().zip(&part_sums) {
        assert!((a - b).abs() < 1e-10, "{a} is not {b}");
    }
}
