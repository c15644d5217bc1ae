//! The timing, on a backend.

use std::time::Instant;

use bert_core::backend::Job;
use bert_core::config::{BertConfig, OptimizerConfig};
use bert_core::error::Result;
use bert_core::nn::{Linear, Selected};
use bert_core::ops::{Activation, BertAutodiffBackend, BertBackend, DropoutKey};
use bert_core::optim::BertOptimizer;
use bert_core::train::TaskBatch;
use burn::module::{AutodiffModule, Param};
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};

use crate::task::{Pretraining, PretrainingBatch};

/// Times every part of so many rounds of all batches.
pub(super) struct BenchJob<'a> {
    pub(super) config: &'a BertConfig,
    pub(super) batches: Vec<PretrainingBatch>,
    pub(super) iters: usize,
}

/// Medians in milliseconds, over all batches.
pub(super) struct Times {
    pub(super) infer: f64,
    pub(super) train: f64,
    pub(super) forward: f64,
    pub(super) backward: f64,
    pub(super) optimizer: f64,
    pub(super) embedding: f64,
    pub(super) attention: f64,
    pub(super) feed_forward: f64,
    pub(super) head: f64,
    pub(super) product_gflops: f64,
}

impl Job for BenchJob<'_> {
    type Output = Times;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Times> {
        let mut model = Pretraining::<B>::new(self.config, 1, &device);
        let mut optimizer = BertOptimizer::<B>::new(OptimizerConfig::default(), Some(1.0));
        let rows = self.iters + 1; // the first of each warms up
        let mut columns: [Vec<f64>; 9] = Default::default();
        let mut infer = Vec::new();
        let bert = model.valid().model.bert;
        for row in 0..rows {
            let mut sum = 0.0;
            for batch in &self.batches {
                let packed = batch.sequences().to_device(&device);
                sum += timed(|| {
                    let dropout = DropoutKey::inference();
                    let embedded = bert.embeddings.forward(&packed, &dropout);
                    let sequences = &packed.sequences;
                    let states = bert.encoder.forward(embedded, sequences, &dropout);
                    states.sum().into_data()
                });
            }
            if row > 0 {
                infer.push(sum * 1e3);
            }
        }
        drop(bert);
        for row in 0..rows {
            let mut sums = [0.0; 9];
            for batch in &self.batches {
                let mut clock = Clock::<B>::start(&device);
                let loss = model.forward_loss(batch);
                sums[0] += clock.lap();
                let grads = GradientsParams::from_grads(loss.backward(), &model);
                drop(loss);
                sums[1] += clock.lap();
                model = optimizer.step(1e-4, model, grads);
                sums[2] += clock.lap();

                let phases = phases(&model, batch, &device);
                sums[4..8]
                    .iter_mut()
                    .zip(phases)
                    .for_each(|(sum, phase)| *sum += phase);
            }
            sums[3] = sums[..3].iter().sum();
            sums[8] = product_gflops::<B::InnerBackend>(&device) / 1e3;
            if row > 0 {
                for (column, sum) in columns.iter_mut().zip(sums) {
                    column.push(sum * 1e3);
                }
            }
        }
        let [
            forward,
            backward,
            optimizer,
            train,
            embedding,
            attention,
            feed_forward,
            head,
            product_gflops,
        ] = columns.map(median);
        Ok(Times {
            infer: median(infer),
            train,
            forward,
            backward,
            optimizer,
            embedding,
            attention,
            feed_forward,
            head,
            product_gflops,
        })
    }
}

/// Seconds from one lap to the next, each with all the work that was asked for in it.
struct Clock<'a, B: Backend> {
    device: &'a B::Device,
    lap: Instant,
}

impl<'a, B: Backend> Clock<'a, B> {
    fn start(device: &'a B::Device) -> Self {
        Self {
            device,
            lap: Instant::now(),
        }
    }

    fn lap(&mut self) -> f64 {
        sync::<B>(self.device);
        let seconds = self.lap.elapsed().as_secs_f64();
        self.lap = Instant::now();
        seconds
    }
}

/// Seconds.
fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let started = Instant::now();
    let result = work();
    let seconds = started.elapsed().as_secs_f64();
    drop(result);
    seconds
}

/// Seconds of the embeddings, of the attention and the feed-forward networks of all layers, and of the heads, each alone,
/// forward and backward, as a training step uses them.
fn phases<B: BertAutodiffBackend>(
    model: &Pretraining<B>,
    batch: &PretrainingBatch,
    device: &B::Device,
) -> [f64; 4] {
    let model = &model.model;
    let dropout = DropoutKey::training(1);
    let packed = batch.sequences().to_device::<B>(device);
    let labels = batch.labels();
    let Some(selection) = labels.selection(&packed.sequences, device) else {
        return [0.0; 4];
    };
    let hidden = model.bert.embeddings.word_embeddings.weight.dims()[1];
    let states = |rows: usize| {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::<B, 2>::random([rows, hidden], normal, device).require_grad()
    };
    let back = |y: Tensor<B, 2>| {
        let grads = y.sum().backward();
        sync::<B>(device);
        grads
    };
    let (tokens, selected) = (batch.tokens(), selection.rows.dims()[0]);
    let mut seconds = [0.0; 4];
    seconds[0] = timed(|| back(model.bert.embeddings.forward(&packed, &dropout)));
    let layers = &model.bert.encoder.layer;
    for (index, layer) in layers.iter().enumerate() {
        let last = index + 1 == layers.len();
        let sequences = if last {
            &selection.sequences
        } else {
            &packed.sequences
        };
        let rows = if last { selected } else { tokens };
        let (all, some, attended) = (states(tokens), states(rows), states(rows));
        seconds[1] += timed(|| {
            let selected = Selected {
                hidden_states: if last { some } else { all.clone() },
                sequences,
            };
            let attention = &layer.attention;
            back(attention.forward(all, selected, &packed.sequences, &dropout))
        });
        seconds[2] += timed(|| back(layer.feed_forward(attended, &dropout)));
    }
    let hidden_states = states(selected);
    seconds[3] = timed(|| {
        let loss = model.loss_of_selected(hidden_states, &selection, &packed.sequences, labels);
        let loss = loss.mlm_sum.mul_scalar(labels.mlm_weight) + loss.nsp_sum;
        let grads = loss.backward();
        sync::<B>(device);
        grads
    });
    seconds
}

/// The speed of one product of two matrices of 1024 x 1024, the best of three.
fn product_gflops<B: BertBackend>(device: &B::Device) -> f64 {
    const SIZE: usize = 1024;
    let matrix = || Tensor::<B, 2>::random([SIZE, SIZE], Distribution::Default, device);
    let (x, weight) = (matrix(), matrix());
    let bias = Tensor::<B, 1>::zeros([SIZE], device);
    let linear = Linear {
        weight: Param::from_tensor(weight),
        bias: Param::from_tensor(bias),
    };
    let once = || {
        timed(|| {
            let y = linear.forward(x.clone(), Activation::Identity);
            sync::<B>(device);
            y
        })
    };
    let seconds = (0..3).map(|_| once()).fold(f64::INFINITY, f64::min);
    2.0 * (SIZE as f64).powi(3) / seconds / 1e9
}

fn sync<B: Backend>(device: &B::Device) {
    // A device that fails here fails in the next step too, with its reason.
    let _ = B::sync(device);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        (values[middle - 1] + values[middle]) / 2.0
    } else {
        values[middle]
    }
}
