//! `bench`: how fast this machine and backend train and infer.

use std::path::Path;
use std::time::Instant;

use bert_core::backend::Job;
use bert_core::config::{BackendConfig, BertConfig, OptimizerConfig, from_value};
use bert_core::data::random::generator;
use bert_core::error::{Error, Result};
use bert_core::nn::{Linear, Selected};
use bert_core::ops::{Activation, BertAutodiffBackend, BertBackend, DropoutKey};
use bert_core::optim::BertOptimizer;
use bert_core::train::{TaskBatch, check_memory};
use burn::module::{AutodiffModule, Param};
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};
use rand::Rng;
use serde_json::{Value, json};

use super::{on, print, usage};
use crate::examples::{Example, Origin};
use crate::task::{Pretraining, PretrainingBatch};

/// The vocabulary of a model configuration that leaves it to the tokenizer: BERT's.
const VOCABULARY: usize = 30_522;

/// More a batch than any machine trains at once.
const MOST_SEQUENCES: usize = 1 << 20;

/// The sequence lengths of every batch.
pub(super) fn lengths(file: Option<&Path>, batch: usize, seq: usize) -> Result<Vec<Vec<usize>>> {
    if batch == 0 || batch > MOST_SEQUENCES {
        return Err(usage(
            format!("--batch is {batch}"),
            format!("give 1 to {MOST_SEQUENCES} sequences a batch"),
        ));
    }
    let Some(path) = file else {
        return Ok(vec![vec![seq; batch]]);
    };
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let mut all = Vec::new();
    for (index, line) in text.lines().enumerate() {
        all.push(line.trim().parse().map_err(|_| Error::Data {
            path: path.to_path_buf(),
            line: Some(index as u64 + 1),
            problem: format!("\"{line}\" is not a length"),
            help: "give one number of tokens a line".into(),
        })?);
    }
    Ok(all.chunks(batch).map(<[usize]>::to_vec).collect())
}

pub(super) fn bench(
    origin: &Path,
    model: Value,
    backend: &BackendConfig,
    lengths: Vec<Vec<usize>>,
    iters: usize,
    dropout: f64,
    json: bool,
) -> Result<()> {
    let mut config: BertConfig = from_value(&origin.display().to_string(), model)?;
    if config.vocab_size == 0 {
        config.vocab_size = VOCABULARY;
    }
    config.hidden_dropout_prob = dropout;
    config.attention_probs_dropout_prob = dropout;
    let mut all = lengths.iter().flatten();
    if !(0.0..1.0).contains(&dropout) {
        return Err(usage(
            format!("--dropout is {dropout}, which is no rate"),
            "give at least 0 and less than 1",
        ));
    }
    if iters == 0 || lengths.is_empty() {
        return Err(usage(
            "there is nothing to time",
            "give --iters of at least 1, and lengths",
        ));
    }
    if all.any(|&length| length < 4 || length > config.max_position_embeddings) {
        return Err(usage(
            format!(
                "sequences must have 4 to {} tokens",
                config.max_position_embeddings
            ),
            "change --seq or --lengths, or --set max_position_embeddings=...",
        ));
    }
    let tokens = lengths.iter().map(|batch| batch.iter().sum());
    check_memory(backend, &config, tokens.max().unwrap_or(0))?;
    let batches: Vec<PretrainingBatch> = lengths
        .iter()
        .enumerate()
        .map(|(index, lengths)| random_batch(&config, index as u64, lengths))
        .collect();
    let tokens: usize = batches.iter().map(TaskBatch::tokens).sum();
    let job = BenchJob {
        config: &config,
        batches,
        iters,
    };
    let work = Work::of(&config, &job.batches);
    let times = on(backend, job)?;
    let per_second = |milliseconds: f64| tokens as f64 / milliseconds * 1e3;
    let gflops = |operations: f64, milliseconds: f64| operations / milliseconds / 1e6;
    let (infer, train) = (
        gflops(work.infer, times.infer),
        gflops(work.train, times.train),
    );
    let value = json!({
        "tokens": tokens,
        "infer_ms": times.infer,
        "train_ms": times.train,
        "forward_ms": times.forward,
        "backward_ms": times.backward,
        "optimizer_ms": times.optimizer,
        "embedding_ms": times.embedding,
        "attention_ms": times.attention,
        "feed_forward_ms": times.feed_forward,
        "head_ms": times.head,
        "infer_tokens_per_second": per_second(times.infer),
        "train_tokens_per_second": per_second(times.train),
        "infer_gflops": infer,
        "train_gflops": train,
        "product_gflops": times.product_gflops,
        "infer_fraction": infer / times.product_gflops,
        "train_fraction": train / times.product_gflops,
    });
    print(json, &value, || {
        let line = |name: &str, milliseconds: f64| format!("{name:<16}{milliseconds:>10.1} ms");
        let whole = |name, milliseconds, gflops| {
            format!(
                "{}{:>12.0} tokens/s{gflops:>10.0} GFLOPS, {:.0} % of a product's",
                line(name, milliseconds),
                per_second(milliseconds),
                100.0 * gflops / times.product_gflops
            )
        };
        [
            format!(
                "{tokens} tokens, medians of {iters}; one large product: {:.0} GFLOPS",
                times.product_gflops
            ),
            whole("infer", times.infer, infer),
            whole("train", times.train, train),
            line("  forward", times.forward),
            line("  backward", times.backward),
            line("  optimizer", times.optimizer),
            "each part alone, forward and backward:".into(),
            line("  embedding", times.embedding),
            line("  attention", times.attention),
            line("  feed-forward", times.feed_forward),
            line("  head", times.head),
        ]
        .join("\n")
    })
}

/// The operations that the products of all batches take, two for a multiplication and its addition.
struct Work {
    infer: f64,
    train: f64,
}

impl Work {
    fn of(config: &BertConfig, batches: &[PretrainingBatch]) -> Self {
        let layers = config.num_hidden_layers as f64;
        let (hidden, intermediate) = (config.hidden_size as f64, config.intermediate_size as f64);
        let (projection, feed_forward) = (2.0 * hidden * hidden, 4.0 * hidden * intermediate);
        let (mut infer, mut train) = (0.0, 0.0);
        for batch in batches {
            let lengths = &batch.sequences().lengths;
            let labels = batch.labels();
            let tokens = batch.tokens() as f64;
            let masked = labels.masked_rows.len() as f64;
            let sequences = lengths.len() as f64;
            // What the last layer computes for the tokens that a head sees, and for the others.
            let seen = masked + sequences;
            let pairs: f64 = lengths.iter().map(|&length| (length * length) as f64).sum();
            let mut end = 0;
            let seen_pairs: f64 = (lengths.iter())
                .map(|&length| {
                    let rows = end..end + length;
                    end += length;
                    let masked = labels.masked_rows.iter().filter(|row| rows.contains(row));
                    ((masked.count() + 1) * length) as f64
                })
                .sum();
            let layer = tokens * (4.0 * projection + feed_forward) + 4.0 * hidden * pairs;
            let last = tokens * 2.0 * projection
                + seen * (2.0 * projection + feed_forward)
                + 4.0 * hidden * seen_pairs;
            let head = masked * (projection + 2.0 * hidden * config.vocab_size as f64)
                + sequences * projection;
            infer += layers * layer;
            train += 3.0 * ((layers - 1.0) * layer + last + head);
        }
        Self { infer, train }
    }
}

/// Random tokens, 15 % of them masked.
fn random_batch(config: &BertConfig, index: u64, lengths: &[usize]) -> PretrainingBatch {
    let mut random = generator(1, "bench", &[index]);
    let vocabulary = config.vocab_size as u32;
    let examples: Vec<Example> = lengths
        .iter()
        .map(|&length| {
            let masked = ((length as f64 * 0.15).round() as u32).max(1);
            Example {
                input_ids: (0..length)
                    .map(|_| random.random_range(0..vocabulary))
                    .collect(),
                token_type_ids: vec![0; length],
                masked_positions: (1..=masked).collect(),
                masked_labels: (0..masked)
                    .map(|_| random.random_range(0..vocabulary))
                    .collect(),
                next_sentence_label: Some(random.random_range(0..2)),
                origin: Origin {
                    document: 0,
                    first_sentence: 0,
                    random_document: None,
                    epoch: 0,
                },
            }
        })
        .collect();
    let mut batch = PretrainingBatch::new(&examples, Default::default());
    PretrainingBatch::join(std::slice::from_mut(&mut batch), index);
    batch
}

struct BenchJob<'a> {
    config: &'a BertConfig,
    batches: Vec<PretrainingBatch>,
    iters: usize,
}

/// Medians in milliseconds, over all batches.
struct Times {
    infer: f64,
    train: f64,
    forward: f64,
    backward: f64,
    optimizer: f64,
    embedding: f64,
    attention: f64,
    feed_forward: f64,
    head: f64,
    product_gflops: f64,
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
