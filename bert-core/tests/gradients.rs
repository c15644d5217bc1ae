//! Gradients against finite differences in f64, and packing against single sequences.
#![cfg(feature = "ndarray")]

use bert_core::config::{BertConfig, from_value};
use bert_core::data::packed::PackedSequences;
use bert_core::model::{BertForPreTraining, PreTrainingLabels};
use bert_core::ops::{BertBackend, DropoutKey};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;

type Plain = NdArray<f64>;
type Differentiated = Autodiff<NdArray<f64>>;

fn config(activation: &str) -> BertConfig {
    let value = serde_json::json!({
        "vocab_size": 13, "hidden_size": 6, "num_hidden_layers": 2, "num_attention_heads": 3,
        "intermediate_size": 10, "max_position_embeddings": 9, "hidden_act": activation,
        "initializer_range": 0.4,
    });
    from_value("test", value).unwrap()
}

fn batch() -> PackedSequences {
    let mut batch = PackedSequences::default();
    batch.push(&[2, 5, 4, 3, 9, 4, 3], &[0, 0, 0, 0, 1, 1, 1]);
    batch.push(&[2], &[0]);
    batch.push(&[2, 0, 4, 3, 12], &[0, 0, 0, 1, 1]);
    batch
}

fn loss<B: BertBackend>(model: &BertForPreTraining<B>, dropout: &DropoutKey) -> Tensor<B, 1> {
    let device = Default::default();
    let labels = PreTrainingLabels {
        masked_rows: &[2, 5, 10],
        masked_labels: &[7, 11, 7],
        next_sentence: Some(&[1, 0, 1]),
        mlm_weight: 0.3,
    };
    let loss = model.loss(&batch().to_device(&device), labels, dropout);
    loss.mlm_sum.mul_scalar(0.3) + loss.nsp_sum.mul_scalar(0.7)
}

/// The gradient of every parameter, by name.
struct Gradients<'a>(
    &'a <Differentiated as AutodiffBackend>::Gradients,
    Vec<String>,
    Vec<(String, Vec<f64>)>,
);

impl ModuleVisitor<Differentiated> for Gradients<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.1.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.1.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Differentiated, D>>) {
        let name = self.1.join(".");
        let grad = param.val().grad(self.0).expect(&name);
        self.2.push((name, grad.into_data().to_vec().unwrap()));
    }
}

/// Adds `delta` to element `element` of parameter `parameter`.
struct Nudge {
    parameter: usize,
    element: usize,
    delta: f64,
    seen: usize,
}

impl<B: Backend> ModuleMapper<B> for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        self.seen += 1;
        if self.seen != self.parameter + 1 {
            return param;
        }
        let (element, delta) = (self.element, self.delta);
        param.map(|tensor| {
            let (shape, device) = (tensor.dims(), tensor.device());
            let mut values: Vec<f64> = tensor.into_data().to_vec().unwrap();
            values[element] += delta;
            Tensor::from_data(TensorData::new(values, shape), &device)
        })
    }
}

#[test]
fn every_parameter_has_the_gradient_of_finite_differences() {
    let device = Default::default();
    for activation in ["gelu", "gelu_new", "relu"] {
        let config = config(activation);
        let model = BertForPreTraining::<Differentiated>::new(&config, 3, &device);
        let gradients = loss(&model, &DropoutKey::inference()).backward();
        let mut collect = Gradients(&gradients, Vec::new(), Vec::new());
        model.visit(&mut collect);
        let plain = BertForPreTraining::<Plain>::new(&config, 3, &device);
        for (parameter, (name, gradient)) in collect.2.iter().enumerate() {
            let reached = gradient.iter().any(|value| *value != 0.0);
            // The key's bias adds the same to all scores of a row: its gradient is zero in exact arithmetic.
            assert!(
                reached || name.ends_with("key.bias"),
                "{name} is not reached"
            );
            for element in [0, gradient.len() / 2, gradient.len() - 1] {
                let at = |delta| {
                    let mut nudge = Nudge {
                        parameter,
                        element,
                        delta,
                        seen: 0,
                    };
                    let nudged = plain.clone().map(&mut nudge);
                    loss(&nudged, &DropoutKey::inference()).into_scalar()
                };
                let step = 1e-5;
                let numeric = (at(step) - at(-step)) / (2.0 * step);
                let error = (numeric - gradient[element]).abs();
                assert!(
                    error < 1e-6 * (1.0 + numeric.abs()),
                    "{activation} {name}[{element}]: {} is not {numeric}",
                    gradient[element]
                );
            }
        }
    }
}

#[test]
fn a_sequence_is_encoded_the_same_alone_and_in_a_batch() {
    let device = Default::default();
    let model = BertForPreTraining::<Plain>::new(&config("gelu"), 3, &device);
    let encode = |batch: &PackedSequences| -> Vec<f64> {
        let output = model
            .bert
            .forward(&batch.to_device(&device), &DropoutKey::inference());
        output.last_hidden_state.into_data().to_vec().unwrap()
    };
    let whole = batch();
    let together = encode(&whole);
    let mut start = 0;
    for &length in &whole.lengths {
        let mut alone = PackedSequences::default();
        let tokens = start..start + length;
        alone.push(
            &whole.input_ids[tokens.clone()],
            &whole.token_type_ids[tokens],
        );
        for (a, b) in encode(&alone).iter().zip(&together[start * 6..]) {
            assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        }
        start += length;
    }
}
