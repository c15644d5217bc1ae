//! Each operation of BERT on the CPU, forward and backward, at the sizes of BERT-Base: 8 sequences of 128 tokens.
//!
//! `cargo bench -p bert-core`; `-- linear` for one of them, `BERT_BENCH_COMPUTE=bf16` for products in bf16.

#![allow(
    missing_docs,
    reason = "criterion's macros write a function without any"
)]

use bert_core::config::Compute;
use bert_core::data::packed::{Sequences, ids};
use bert_core::ops::ndarray::{Fused, set_compute};
use bert_core::ops::{
    Activation, AdamArgs, AttentionArgs, AttentionTensors, Dropout, Kernels, LayerNormArgs,
    LinearTensors, Moments,
};
use burn::tensor::{Distribution, Int, Tensor};
use burn_ndarray::{NdArray, NdArrayDevice, NdArrayTensor};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

bert_core::use_jemalloc!();

type B = NdArray<f32>;

const TOKENS: usize = 8 * 128;
const HIDDEN: usize = 768;
const INTERMEDIATE: usize = 3072;
const VOCABULARY: usize = 30_522;
const MASKED: usize = TOKENS * 15 / 100;
const DROPOUT: Dropout = Dropout {
    probability: 0.1,
    seed: 1,
};

fn matrix(rows: usize, columns: usize) -> NdArrayTensor {
    let normal = Distribution::Normal(0.0, 0.1);
    let matrix = Tensor::<B, 2>::random([rows, columns], normal, &NdArrayDevice::Cpu);
    matrix.into_primitive().tensor()
}

fn vector(length: usize) -> NdArrayTensor {
    let normal = Distribution::Normal(0.0, 0.1);
    let vector = Tensor::<B, 1>::random([length], normal, &NdArrayDevice::Cpu);
    vector.into_primitive().tensor()
}

fn integers(length: usize, below: usize) -> NdArrayTensor {
    let values = (0..length).map(|i| (i * 7919 % below) as i64);
    let integers: Tensor<B, 1, Int> = ids(values, &NdArrayDevice::Cpu);
    integers.into_primitive()
}

fn linear(criterion: &mut Criterion) {
    let (x, bias) = (matrix(TOKENS, HIDDEN), vector(HIDDEN));
    let (weight, grad) = (matrix(HIDDEN, HIDDEN), matrix(TOKENS, HIDDEN));
    let forward = || {
        Fused::linear_forward(
            x.clone(),
            weight.clone(),
            bias.clone(),
            Activation::Identity,
        )
    };
    criterion.bench_function("linear forward", |b| b.iter(forward));
    let (_, saved) = forward();
    criterion.bench_function("linear backward", |b| {
        b.iter(|| Fused::linear_backward(grad.clone(), saved.clone(), None));
    });
}

fn map((inputs, outputs): (usize, usize)) -> LinearTensors<NdArrayTensor> {
    LinearTensors {
        weight: matrix(inputs, outputs),
        bias: vector(outputs),
    }
}

fn joint_linear(criterion: &mut Criterion) {
    let (x, grad) = (matrix(TOKENS, HIDDEN), matrix(TOKENS, 2 * HIDDEN));
    let maps = [(HIDDEN, HIDDEN), (HIDDEN, HIDDEN)].map(map);
    let forward = || Fused::joint_linear_forward(x.clone(), maps.clone());
    criterion.bench_function("joint linear forward", |b| b.iter(forward));
    let (_, saved) = forward();
    criterion.bench_function("joint linear backward", |b| {
        b.iter(|| Fused::joint_linear_backward(grad.clone(), saved.clone(), None));
    });
}

fn feed_forward(criterion: &mut Criterion) {
    let (x, grad) = (matrix(TOKENS, HIDDEN), matrix(TOKENS, HIDDEN));
    let maps = [(HIDDEN, INTERMEDIATE), (INTERMEDIATE, HIDDEN)].map(map);
    let forward = || Fused::feed_forward_forward(x.clone(), maps.clone(), Activation::Gelu);
    criterion.bench_function("feed-forward forward", |b| b.iter(forward));
    let (_, saved) = forward();
    criterion.bench_function("feed-forward backward", |b| {
        b.iter(|| Fused::feed_forward_backward(grad.clone(), saved.clone(), None));
    });
}

fn add_layer_norm(criterion: &mut Criterion) {
    let (x, residual) = (matrix(TOKENS, HIDDEN), matrix(TOKENS, HIDDEN));
    let (gamma, beta, grad) = (vector(HIDDEN), vector(HIDDEN), matrix(TOKENS, HIDDEN));
    let args = LayerNormArgs {
        eps: 1e-12,
        dropout: DROPOUT,
    };
    let forward = || {
        let residual = Some(residual.clone());
        Fused::add_layer_norm_forward(x.clone(), residual, gamma.clone(), beta.clone(), args)
    };
    criterion.bench_function("add and norm forward", |b| b.iter(forward));
    let (_, saved) = forward();
    criterion.bench_function("add and norm backward", |b| {
        b.iter(|| Fused::add_layer_norm_backward(grad.clone(), saved.clone()));
    });
}

fn attention(criterion: &mut Criterion) {
    let sequences = Sequences::<B>::new(&[128; 8], &NdArrayDevice::Cpu);
    let tensors = AttentionTensors {
        query: matrix(TOKENS, HIDDEN),
        key_value: matrix(TOKENS, 2 * HIDDEN),
    };
    let grad = matrix(TOKENS, HIDDEN);
    let args = AttentionArgs {
        heads: 12,
        dropout: DROPOUT,
    };
    let forward = || Fused::attention_forward(tensors.clone(), [&sequences; 2], args);
    criterion.bench_function("attention forward", |b| b.iter(forward));
    let (_, saved) = forward();
    criterion.bench_function("attention backward", |b| {
        b.iter(|| Fused::attention_backward(grad.clone(), [&sequences; 2], args, saved.clone()));
    });
}

fn embed(criterion: &mut Criterion) {
    let rows = [VOCABULARY, 512, 2];
    let tables = rows.map(|rows| matrix(rows, HIDDEN));
    let lists = rows.map(|rows| integers(TOKENS, rows));
    let (gamma, beta, grad) = (vector(HIDDEN), vector(HIDDEN), matrix(TOKENS, HIDDEN));
    let args = LayerNormArgs {
        eps: 1e-12,
        dropout: DROPOUT,
    };
    let forward = || {
        let (gamma, beta) = (gamma.clone(), beta.clone());
        Fused::embed_forward(tables.clone(), lists.clone(), gamma, beta, args)
    };
    criterion.bench_function("embeddings forward", |b| b.iter(forward));
    let (_, saved) = forward();
    criterion.bench_function("embeddings backward", |b| {
        b.iter(|| Fused::embed_backward(grad.clone(), saved.clone(), None));
    });
}

fn masked_lm(criterion: &mut Criterion) {
    let (hidden, words) = (matrix(MASKED, HIDDEN), matrix(VOCABULARY, HIDDEN));
    let (bias, labels) = (vector(VOCABULARY), integers(MASKED, VOCABULARY));
    criterion.bench_function("masked LM forward, gradients included", |b| {
        b.iter(|| {
            let (hidden, words, bias) = (hidden.clone(), words.clone(), bias.clone());
            Fused::masked_lm_forward(hidden, words, bias, labels.clone(), 0.01)
        });
    });
}

fn updates(criterion: &mut Criterion) {
    let parameter = || matrix(HIDDEN, INTERMEDIATE);
    let (theta, grad) = (parameter(), parameter());
    let (first, second) = (
        parameter(),
        Tensor::<B, 2>::ones([HIDDEN, INTERMEDIATE], &NdArrayDevice::Cpu),
    );
    let moments = Moments::<B> {
        first,
        second: second.into_primitive().tensor(),
    };
    let args = AdamArgs {
        learning_rate: 1e-4,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-6,
        weight_decay: 0.01,
        corrected_step: Some(3),
    };
    let scale = || {
        Tensor::<B, 1>::ones([1], &NdArrayDevice::Cpu)
            .into_primitive()
            .tensor()
    };
    type Update = fn(
        NdArrayTensor,
        NdArrayTensor,
        NdArrayTensor,
        Moments<B>,
        AdamArgs,
    ) -> (NdArrayTensor, Moments<B>);
    for (name, update) in [
        ("AdamW", Fused::adamw as Update),
        ("LAMB", Fused::lamb as Update),
    ] {
        let mut state = Some(moments.clone());
        criterion.bench_function(name, |b| {
            // A gradient of its own each time, as in a step: the update takes its memory.
            let step = |grad| {
                let moments = state.take().expect("put back below");
                let (theta, moments) = update(theta.clone(), grad, scale(), moments, args);
                state = Some(moments);
                theta
            };
            b.iter_batched(parameter, step, BatchSize::LargeInput);
        });
    }
    criterion.bench_function("squared norm", |b| {
        b.iter(|| Fused::squared_norm(grad.clone()))
    });
}

fn all(criterion: &mut Criterion) {
    if std::env::var("BERT_BENCH_COMPUTE").is_ok_and(|compute| compute == "bf16")
        && let Err(error) = set_compute(Compute::Bf16)
    {
        panic!("{error}");
    }
    linear(criterion);
    joint_linear(criterion);
    feed_forward(criterion);
    add_layer_norm(criterion);
    attention(criterion);
    embed(criterion);
    masked_lm(criterion);
    updates(criterion);
}

criterion_group! {
    name = operations;
    config = Criterion::default().sample_size(20);
    targets = all
}
criterion_main!(operations);
