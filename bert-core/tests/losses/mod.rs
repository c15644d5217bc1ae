//! The losses of fine-tuning heads and their gradients, compared with PyTorch in f64 (`generate.py`), on any backend.

use std::path::Path;

use bert_core::data::packed::Sequences;
use bert_core::loss;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;

/// What to compare: a difference may be `tolerance` times the largest value.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    pub(crate) tolerance: f64,
    /// The most cases of a loss.
    pub(crate) most: usize,
}

impl Check {
    /// The cases of a loss.
    fn cases(self, loss: &str) -> Vec<Case> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/losses/losses.json");
        let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let listed = all[loss].as_array().unwrap().iter().take(self.most);
        let case = |value| Case {
            value,
            tolerance: self.tolerance,
        };
        let cases: Vec<Case> = listed.cloned().map(case).collect();
        assert!(cases.len() > 1, "{loss}");
        cases
    }
}

struct Case {
    value: Value,
    tolerance: f64,
}

impl Case {
    fn numbers(&self, key: &str) -> Vec<f64> {
        let list = self.value[key]
            .as_array()
            .unwrap_or_else(|| panic!("no {key} in {}", self.value["name"]));
        list.iter().map(|value| value.as_f64().unwrap()).collect()
    }

    fn columns(&self) -> usize {
        self.value["columns"].as_u64().unwrap() as usize
    }

    fn tensor<B: AutodiffBackend>(&self, values: Vec<f64>) -> Tensor<B, 2> {
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        let rows = values.len() / self.columns();
        Tensor::from_data(
            TensorData::new(values, [rows, self.columns()]),
            &Default::default(),
        )
    }

    /// The loss over its weight and the gradient of that must be PyTorch's mean and its gradient.
    fn check<B: AutodiffBackend>(
        &self,
        targets: Vec<f64>,
        weight: f64,
        loss: impl Fn(Tensor<B, 2>, Tensor<B, 2>) -> Tensor<B, 1>,
    ) {
        let scores = self.tensor(self.numbers("scores")).require_grad();
        let mean = loss(scores.clone(), self.tensor(targets)).div_scalar(weight);
        assert_eq!(mean.dims(), [1]);
        let value: Vec<f64> = mean.to_data().iter().collect();
        self.assert_close("value", &value, &[self.value["value"].as_f64().unwrap()]);
        let gradients = mean.backward();
        let gradient = scores.grad(&gradients).expect("a gradient");
        let gradient: Vec<f64> = gradient.into_data().iter().collect();
        self.assert_close("gradient", &gradient, &self.numbers("gradient"));
    }

    /// The largest difference over the largest value must stay below the tolerance.
    fn assert_close(&self, what: &str, ours: &[f64], theirs: &[f64]) {
        let name = &self.value["name"];
        assert_eq!(ours.len(), theirs.len(), "{name} {what}");
        let scale = theirs.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        let mut largest = 0.0_f64;
        for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            // So that what is not a number fails.
            assert!(
                (ours - theirs).abs() <= self.tolerance * scale,
                "{name} {what}[{index}]: {ours} is not {theirs}"
            );
            largest = largest.max((ours - theirs).abs() / scale);
        }
        println!("{name} {what}: {largest:.1e}");
    }
}

/// Classes, weighed and smoothed.
pub(crate) fn cross_entropy<B: AutodiffBackend>(check: Check) {
    for case in check.cases("cross_entropy") {
        let weights = case.numbers("weights");
        let smoothing = case.value["smoothing"].as_f64().unwrap();
        let (mut targets, mut sum) = (Vec::new(), 0.0);
        for label in case.numbers("labels") {
            let right = (label >= 0.0).then_some(label as usize);
            // (1 - s) w_y [c = y] + s w_c / classes, and the row weighs w_y.
            targets.extend(weights.iter().enumerate().map(|(class, weight)| {
                let spread = smoothing * weight / weights.len() as f64;
                match right {
                    Some(right) if right == class => (1.0 - smoothing) * weight + spread,
                    Some(_) => spread,
                    None => 0.0,
                }
            }));
            sum += right.map_or(0.0, |right| weights[right]);
        }
        case.check::<B>(targets, sum, loss::cross_entropy);
    }
}

/// Distributions.
pub(crate) fn soft_targets<B: AutodiffBackend>(check: Check) {
    for case in check.cases("soft_targets") {
        case.check::<B>(case.numbers("targets"), 1.0, loss::cross_entropy);
    }
}

/// The rows of each group.
pub(crate) fn grouped_cross_entropy<B: AutodiffBackend>(check: Check) {
    for case in check.cases("grouped_cross_entropy") {
        let lengths: Vec<usize> = case
            .numbers("lengths")
            .iter()
            .map(|&n| n as usize)
            .collect();
        let mut targets = vec![0.0; case.numbers("scores").len()];
        let (mut start, mut count) = (0, 0.0);
        for (length, right) in lengths.iter().zip(case.value["right"].as_array().unwrap()) {
            for (column, row) in right.as_array().unwrap().iter().enumerate() {
                if let Some(row) = row.as_u64() {
                    targets[(start + row as usize) * case.columns() + column] = 1.0;
                    count += 1.0;
                }
            }
            start += length;
        }
        let groups = Sequences::<B>::new(&lengths, &Default::default());
        case.check::<B>(targets, count, |scores, targets| {
            loss::grouped_cross_entropy(scores, targets, &groups)
        });
    }
}

/// Labels, each by itself.
pub(crate) fn binary_cross_entropy<B: AutodiffBackend>(check: Check) {
    for case in check.cases("binary_cross_entropy") {
        let targets = case.numbers("targets");
        let count = targets.len() as f64;
        case.check::<B>(targets, count, loss::binary_cross_entropy);
    }
}

/// Numbers.
pub(crate) fn squared_error<B: AutodiffBackend>(check: Check) {
    for case in check.cases("squared_error") {
        let targets = case.numbers("targets");
        let count = targets.len() as f64;
        case.check::<B>(targets, count, loss::squared_error);
    }
}
