//! Everything that a model computes, compared with PyTorch in f64 (`generate.py`), on any backend.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bert_core::config::{BertConfig, OptimizerConfig, ScheduleConfig, from_value};
use bert_core::data::packed::{PackedSequences, ids};
use bert_core::model::{BertForPreTraining, PreTrainingLabels};
use bert_core::ops::{BertAutodiffBackend, BertBackend, DropoutKey};
use bert_core::optim::{BertOptimizer, Schedule};
use bert_core::weights::{Checkpoint, checkpoint_name, load_weights, read_config};
use burn::module::{AutodiffModule, ModuleVisitor, Param};
use burn::optim::lr_scheduler::LrScheduler;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use serde_json::json;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/models")
        .join(name)
}

/// The tensors of a fixture.
struct Fixture(Checkpoint);

impl Fixture {
    fn open(path: PathBuf) -> Self {
        Self(Checkpoint::open_safetensors(&path).expect("a fixture"))
    }

    fn values(&self, name: &str) -> Vec<f32> {
        let values = self.0.read(name).expect("readable");
        values.unwrap_or_else(|| panic!("no {name} in {}", self.0.path().display()))
    }

    fn integers(&self, name: &str) -> Vec<i64> {
        self.values(name)
            .iter()
            .map(|&value| value as i64)
            .collect()
    }

    fn sequences(&self) -> PackedSequences {
        let (input_ids, types) = (self.integers("input_ids"), self.integers("token_type_ids"));
        let mut sequences = PackedSequences::default();
        let mut start = 0;
        for length in self.integers("lengths") {
            let tokens = start..start + length as usize;
            let words: Vec<u32> = input_ids[tokens.clone()]
                .iter()
                .map(|&id| id as u32)
                .collect();
            let types: Vec<u8> = types[tokens.clone()].iter().map(|&id| id as u8).collect();
            sequences.push(&words, &types);
            start = tokens.end;
        }
        sequences
    }

    fn labels(&self) -> Labels {
        let integers = self.integers("masked_rows").into_iter();
        Labels {
            masked_rows: integers.map(|row| row as usize).collect(),
            masked_labels: self
                .integers("masked_labels")
                .into_iter()
                .map(|id| id as u32)
                .collect(),
            next_sentence: self
                .integers("next_sentence")
                .into_iter()
                .map(|id| id as u8)
                .collect(),
        }
    }
}

/// What the heads should say.
struct Labels {
    masked_rows: Vec<usize>,
    masked_labels: Vec<u32>,
    next_sentence: Vec<u8>,
}

impl Labels {
    fn borrowed(&self) -> PreTrainingLabels<'_> {
        PreTrainingLabels {
            masked_rows: &self.masked_rows,
            masked_labels: &self.masked_labels,
            next_sentence: Some(&self.next_sentence),
            mlm_weight: 1.0,
        }
    }
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The largest difference over the largest value must stay below the tolerance.
fn assert_close(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    assert_close_within(what, ours, theirs, tolerance * scale);
}

fn assert_close_within(what: &str, ours: &[f32], theirs: &[f32], difference: f32) {
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!(
            (ours - theirs).abs() <= difference,
            "{what}[{index}]: {ours} is not {theirs} within {difference}"
        );
    }
}

fn load<B: BertBackend>(name: &str, device: &B::Device) -> BertForPreTraining<B> {
    load_dropping(name, [0.0; 2], device)
}

/// With the rates of dropout of hidden states and of attention.
fn load_dropping<B: BertBackend>(
    name: &str,
    [hidden, attention]: [f64; 2],
    device: &B::Device,
) -> BertForPreTraining<B> {
    let config = BertConfig {
        hidden_dropout_prob: hidden,
        attention_probs_dropout_prob: attention,
        ..read_config(&directory(name)).expect("a configuration")
    };
    let model = BertForPreTraining::<B>::new(&config, 0, device);
    let (model, loaded) = load_weights(&directory(name), model, device).expect("weights");
    assert!(loaded.remarks().is_empty(), "{loaded:?}");
    model
}

/// Hidden states after every layer, attention probabilities, the pooler, both heads and both losses.
pub(crate) fn forward<B: BertBackend>(activation: &str, tolerance: f32) {
    let device = B::Device::default();
    let model = load::<B>(activation, &device);
    let expected = Fixture::open(directory(activation).join("expected.safetensors"));
    let sequences = expected.sequences();
    let batch = sequences.to_device::<B>(&device);
    let inference = DropoutKey::inference();
    let check = |name: &str, ours: Vec<f32>| {
        assert_close(
            &format!("{activation} {name}"),
            &ours,
            &expected.values(name),
            tolerance,
        );
    };

    let bert = &model.bert;
    let embedded = bert.embeddings.forward(&batch, &inference);
    let all = bert
        .encoder
        .all_hidden_states(embedded, &batch.sequences, &inference);
    for (layer, hidden) in all.iter().enumerate() {
        check(&format!("hidden.{layer}"), values(hidden.clone()));
    }
    for (index, layer) in bert.encoder.layer.iter().enumerate() {
        let attention = &layer.attention.self_attention;
        let probabilities = attention.probabilities(all[index].clone(), &batch.sequences);
        let [_, heads, _, _] = probabilities.dims();
        for (sequence, &length) in sequences.lengths.iter().enumerate() {
            let own = probabilities.clone().slice([
                sequence..sequence + 1,
                0..heads,
                0..length,
                0..length,
            ]);
            check(&format!("attention.{index}.{sequence}"), values(own));
        }
    }
    let output = bert.forward(&batch, &inference);
    check("pooled", values(output.pooler_output.clone()));
    check(
        "nsp_logits",
        values(model.next_sentence_logits(output.pooler_output)),
    );
    let every = ids(0..sequences.tokens() as i64, &device);
    check(
        "mlm_logits",
        values(model.masked_lm_logits(output.last_hidden_state, every)),
    );

    let labels = expected.labels();
    let (masked, count) = (labels.masked_labels.len(), sequences.lengths.len());
    let loss = model.loss(&batch, labels.borrowed(), &inference);
    check("mlm_loss", values(loss.mlm_sum.div_scalar(masked as f32)));
    check("nsp_loss", values(loss.nsp_sum.div_scalar(count as f32)));
}

/// `loss = mean over masked tokens + mean over sequences`, with its two parts.
fn loss<B: BertBackend>(
    model: &BertForPreTraining<B>,
    fixture: &Fixture,
    dropout: &DropoutKey,
    device: &B::Device,
) -> (Tensor<B, 1>, [f32; 2]) {
    let sequences = fixture.sequences();
    let labels = fixture.labels();
    let masked = labels.masked_labels.len() as f32;
    let sums = model.loss(&sequences.to_device(device), labels.borrowed(), dropout);
    let mlm = sums.mlm_sum.div_scalar(masked);
    let nsp = sums.nsp_sum.div_scalar(sequences.lengths.len() as f32);
    let parts = [values(mlm.clone())[0], values(nsp.clone())[0]];
    (mlm + nsp, parts)
}

/// The gradient, or else the value, of every parameter, in the names and the layout of a checkpoint.
struct Collect<'a, B: AutodiffBackend> {
    gradients: Option<&'a B::Gradients>,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Collect<'_, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let path = self.path.join(".");
        let tensor = match self.gradients {
            Some(gradients) => param.val().grad(gradients).expect(&path),
            None => param.val().inner(),
        };
        let is_linear = D == 2 && !path.contains("embeddings");
        let data: TensorData = if is_linear {
            tensor.transpose().into_data()
        } else {
            tensor.into_data()
        };
        self.found
            .insert(checkpoint_name(&path), data.iter::<f32>().collect());
    }
}

fn collect<B: AutodiffBackend, M: AutodiffModule<B>>(
    model: &M,
    gradients: Option<&B::Gradients>,
) -> BTreeMap<String, Vec<f32>> {
    let mut collect = Collect::<B> {
        gradients,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    model.visit(&mut collect);
    collect.found
}

/// The gradient of every parameter.
pub(crate) fn gradients<B: BertAutodiffBackend>(activation: &str, tolerance: f32) {
    let device = B::Device::default();
    let model = load::<B>(activation, &device);
    let expected = Fixture::open(directory(activation).join("expected.safetensors"));
    let inference = DropoutKey::inference();
    let gradients = loss(&model, &expected, &inference, &device).0.backward();
    let ours = collect::<B, _>(&model, Some(&gradients));
    assert_eq!(ours.len(), 46);
    for (name, gradient) in &ours {
        let theirs = expected.values(&format!("gradient.{name}"));
        let what = format!("{activation} gradient of {name}");
        if name.ends_with("key.bias") {
            // It adds the same to all scores of a query: exactly zero, and rounding errors of the size of its
            // weights' gradient.
            let weight = &ours[&name.replace("bias", "weight")];
            let scale = weight
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            assert_close_within(&what, gradient, &theirs, tolerance * scale);
        } else {
            assert_close(&what, gradient, &theirs, tolerance);
        }
    }
}

/// Twenty optimizer steps: the losses and gradient norms on the way, the weights at the end. The rates of `dropout` are of
/// hidden states and of attention; PyTorch drops what the fused kernels drop (`masks.py`).
pub(crate) fn training<B: BertAutodiffBackend>(kind: &str, dropout: [f64; 2], tolerance: f32) {
    let device = B::Device::default();
    let mut model = load_dropping::<B>("gelu", dropout, &device);
    let expected = Fixture::open(directory("gelu").join(format!("{kind}.safetensors")));
    let batches: Vec<Fixture> = (0..3)
        .map(|i| Fixture::open(directory("gelu").join(format!("batch.{i}.safetensors"))))
        .collect();
    let config: OptimizerConfig = from_value(
        "test",
        json!({
            "type": if kind == "lamb" { "lamb" } else { "adamw" },
            "learning_rate": 5e-4, "weight_decay": 0.1, "epsilon": 1e-6,
            "bias_correction": kind != "adamw_uncorrected",
        }),
    )
    .expect("a configuration");
    let mut optimizer = BertOptimizer::<B>::new(config, Some(1.0));
    let mut schedule = Schedule::new(ScheduleConfig::Linear { warmup_steps: 3 }, 5e-4, 20, 0);
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for step in 0..20 {
        let dropout = DropoutKey::training(step as u64);
        let (loss, parts) = loss(&model, &batches[step % 3], &dropout, &device);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(schedule.step(), model, gradients);
        losses.extend(parts);
        norms.extend(optimizer.gradient_norm().map(values).expect("a norm"));
    }
    assert_close(
        &format!("{kind} losses"),
        &losses,
        &expected.values("losses"),
        tolerance,
    );
    assert_close(
        &format!("{kind} norms"),
        &norms,
        &expected.values("gradient_norms"),
        tolerance,
    );
    let weights = collect::<B, _>(&model, None);
    assert_eq!(weights.len(), 46);
    for (name, ours) in weights {
        let theirs = expected.values(&format!("final.{name}"));
        // Of gradients that are zero but for rounding, Adam's quotient makes updates of any size up to the learning rate.
        let is_noise = name.ends_with("key.bias");
        let tolerance = if is_noise {
            10.0 * tolerance
        } else {
            tolerance
        };
        assert_close(&format!("{kind} {name}"), &ours, &theirs, tolerance);
    }
}
