//! Every fused operation against the composed one, forward and backward, on odd sizes; dropout, whose masks the two draw
//! differently, against differences of the loss.

use burn::tensor::Tensor;
use burn::tensor::ops::FloatTensorOps;
use burn_ndarray::{NdArray, NdArrayTensor};
use rand::Rng;

use super::array::{elements, floats, tensor};
use super::{Fused, NdArray32};
use crate::data::packed::{Sequences, ids};
use crate::data::random::generator;
use crate::ops::{
    Activation, AdamArgs, AttentionArgs, AttentionTensors, Composed, Dropout, Kernels,
    LayerNormArgs, LinearTensors, Moments,
};

type Device = <NdArray<f32> as burn::tensor::backend::BackendTypes>::Device;

fn random(name: &str, shape: &[usize]) -> NdArrayTensor {
    let mut random = generator(1, name, &[]);
    let length = shape.iter().product();
    let values = (0..length).map(|_| random.random_range(-1.5_f32..1.5));
    tensor(shape, values.collect())
}

/// Of the largest element: some units in the last place of an f32, times a sum's growth.
const TOLERANCE: f32 = 4e-6;

fn close(what: &str, fused: NdArrayTensor, composed: NdArrayTensor) {
    let (fused, composed) = (floats(fused), floats(composed));
    assert_eq!(fused.shape(), composed.shape(), "{what}");
    let largest = elements(&composed)
        .iter()
        .fold(1.0_f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in elements(&fused).iter().zip(elements(&composed)).enumerate() {
        let error = (a - b).abs();
        assert!(error <= TOLERANCE * largest, "{what}[{i}]: {a} is not {b}");
    }
}

fn all_close<const N: usize>(what: &str, fused: [NdArrayTensor; N], composed: [NdArrayTensor; N]) {
    for (i, (fused, composed)) in fused.into_iter().zip(composed).enumerate() {
        close(&format!("{what}, gradient {i}"), fused, composed);
    }
}

const ACTIVATIONS: [Activation; 5] = [
    Activation::Identity,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Tanh,
];

#[test]
fn linear_maps_with_every_activation() {
    // More rows than one task has.
    let (rows, inputs, outputs) = (1031, 19, 37);
    let x = || random("x", &[rows, inputs]);
    let weight = || random("weight", &[inputs, outputs]);
    let bias = || random("bias", &[outputs]);
    let so_far = || Some(random("so far", &[rows, inputs]));
    for activation in ACTIVATIONS {
        let (y, saved) = Fused::linear_forward(x(), weight(), bias(), activation);
        let (expected, expected_saved) =
            <Composed as Kernels<NdArray32>>::linear_forward(x(), weight(), bias(), activation);
        close("y", y.clone(), expected);
        close(
            "y alone",
            Fused::linear(x(), weight(), bias(), activation),
            y,
        );
        let grad = || random("grad", &[rows, outputs]);
        all_close(
            &format!("{activation:?}"),
            Fused::linear_backward(grad(), saved, so_far()),
            <Composed as Kernels<NdArray32>>::linear_backward(grad(), expected_saved, so_far()),
        );
    }
}

fn map(name: &str, inputs: usize, outputs: usize) -> LinearTensors<NdArrayTensor> {
    LinearTensors {
        weight: random(&format!("weight {name}"), &[inputs, outputs]),
        bias: random(&format!("bias {name}"), &[outputs]),
    }
}

#[test]
fn joint_linear_maps() {
    let (rows, inputs, outputs) = (301, 19, 37);
    let x = || random("x", &[rows, inputs]);
    let maps = || ["1", "2"].map(|name| map(name, inputs, outputs));
    let (y, saved) = Fused::joint_linear_forward(x(), maps());
    let (expected, expected_saved) =
        <Composed as Kernels<NdArray32>>::joint_linear_forward(x(), maps());
    close("y", y, expected);
    let grad = || random("grad", &[rows, 2 * outputs]);
    for so_far in [None, Some(random("so far", &[rows, inputs]))] {
        all_close(
            "joint maps",
            Fused::joint_linear_backward(grad(), saved.clone(), so_far.clone()),
            <Composed as Kernels<NdArray32>>::joint_linear_backward(
                grad(),
                expected_saved.clone(),
                so_far,
            ),
        );
    }
}

#[test]
fn feed_forward_networks_with_every_activation() {
    let (rows, hidden, intermediate) = (301, 19, 53);
    let x = || random("x", &[rows, hidden]);
    let maps = || {
        [
            map("1", hidden, intermediate),
            map("2", intermediate, hidden),
        ]
    };
    for activation in ACTIVATIONS {
        let (y, saved) = Fused::feed_forward_forward(x(), maps(), activation);
        let (expected, expected_saved) =
            <Composed as Kernels<NdArray32>>::feed_forward_forward(x(), maps(), activation);
        close("y", y.clone(), expected);
        close("y alone", Fused::feed_forward(x(), maps(), activation), y);
        let grad = || random("grad", &[rows, hidden]);
        let so_far = || Some(random("so far", &[rows, hidden]));
        all_close(
            &format!("{activation:?}"),
            Fused::feed_forward_backward(grad(), saved, so_far()),
            <Composed as Kernels<NdArray32>>::feed_forward_backward(
                grad(),
                expected_saved,
                so_far(),
            ),
        );
    }
}

#[test]
fn layer_norms_with_and_without_a_residual() {
    let (rows, hidden) = (401, 83);
    let args = LayerNormArgs {
        eps: 1e-12,
        dropout: Dropout::NONE,
    };
    for residual in [None, Some(random("residual", &[rows, hidden]))] {
        let x = || random("x", &[rows, hidden]);
        // From scales that say what x̂ was in y, and from one among them that does not.
        let scales: Vec<f32> = (0..hidden).map(|i| 0.25 + i as f32 / 64.0).collect();
        let mut with_zero = scales.clone();
        with_zero[7] = 0.0;
        for gamma in [scales, with_zero] {
            let gamma = || tensor(&[hidden], gamma.clone());
            let (beta, residual) = (|| random("beta", &[hidden]), || residual.clone());
            let (y, saved) = Fused::add_layer_norm_forward(x(), residual(), gamma(), beta(), args);
            let (expected, expected_saved) =
                <Composed as Kernels<NdArray32>>::add_layer_norm_forward(
                    x(),
                    residual(),
                    gamma(),
                    beta(),
                    args,
                );
            close("y", y, expected);
            let grad = || random("grad", &[rows, hidden]);
            all_close(
                "layer norm",
                Fused::add_layer_norm_backward(grad(), saved),
                <Composed as Kernels<NdArray32>>::add_layer_norm_backward(grad(), expected_saved),
            );
        }
    }
}

fn attention_tensors(
    queries: usize,
    tokens: usize,
    hidden: usize,
) -> AttentionTensors<NdArrayTensor> {
    AttentionTensors {
        query: random("query", &[queries, hidden]),
        key_value: random("key and value", &[tokens, 2 * hidden]),
    }
}

fn both(tensors: AttentionTensors<NdArrayTensor>) -> [NdArrayTensor; 2] {
    [tensors.query, tensors.key_value]
}

#[test]
fn attention_on_ragged_and_on_equal_lengths_of_all_and_of_some_tokens() {
    let (heads, hidden) = (3, 39);
    // One sequence of several blocks of queries, one of a single token, some without queries.
    for (queries, keys) in [
        (vec![450, 1, 7, 64, 65], vec![450, 1, 7, 64, 65]),
        (vec![9, 9], vec![9, 9]),
        (vec![3, 0, 7, 1, 0], vec![150, 1, 7, 64, 65]),
    ] {
        let (rows, tokens) = (queries.iter().sum(), keys.iter().sum());
        let sequences = [queries, keys]
            .map(|lengths| Sequences::<NdArray32>::new(&lengths, &Device::default()));
        let args = AttentionArgs {
            heads,
            dropout: Dropout::NONE,
        };
        let tensors = || attention_tensors(rows, tokens, hidden);
        let (y, saved) = Fused::attention_forward(tensors(), sequences.each_ref(), args);
        let (expected, expected_saved) = <Composed as Kernels<NdArray32>>::attention_forward(
            tensors(),
            sequences.each_ref(),
            args,
        );
        close("context", y, expected);
        let grad = || random("grad", &[rows, hidden]);
        let fused = Fused::attention_backward(grad(), sequences.each_ref(), args, saved);
        let composed = <Composed as Kernels<NdArray32>>::attention_backward(
            grad(),
            sequences.each_ref(),
            args,
            expected_saved,
        );
        all_close("attention", both(fused), both(composed));
    }
}

#[test]
fn embeddings_whose_tokens_share_rows() {
    let (tokens, hidden) = (613, 29);
    let device = Device::default();
    let list = |modulus: i64| {
        let values = (0..tokens as i64).map(move |i| (i * i + 3 * i) % modulus);
        ids::<NdArray32>(values, &device).into_primitive()
    };
    let tables = || {
        [
            random("word", &[97, hidden]),
            random("position", &[31, hidden]),
            random("type", &[2, hidden]),
        ]
    };
    let (gamma, beta) = (|| random("gamma", &[hidden]), || random("beta", &[hidden]));
    let args = LayerNormArgs {
        eps: 1e-5,
        dropout: Dropout::NONE,
    };
    let lists = || [list(97), list(31), list(2)];
    let (y, saved) = Fused::embed_forward(tables(), lists(), gamma(), beta(), args);
    let (expected, expected_saved) =
        <Composed as Kernels<NdArray32>>::embed_forward(tables(), lists(), gamma(), beta(), args);
    close("y", y, expected);
    let grad = || random("grad", &[tokens, hidden]);
    let so_far = || Some(random("so far", &[97, hidden]));
    all_close(
        "embeddings",
        Fused::embed_backward(grad(), saved, so_far()),
        <Composed as Kernels<NdArray32>>::embed_backward(grad(), expected_saved, so_far()),
    );
}

#[test]
fn the_masked_lm_loss_in_one_run_and_in_several() {
    let device = Device::default();
    let (masked, vocabulary, width) = (61, 211, 13);
    let hidden = || random("hidden", &[masked, width]);
    let words = || random("words", &[vocabulary, width]);
    let bias = || random("bias", &[vocabulary]);
    let labels = || {
        let values = (0..masked).map(|i| ((i * 131 + 7) % vocabulary) as i64);
        ids::<NdArray32>(values, &device).into_primitive()
    };
    let grad = || tensor(&[1], vec![0.37]);
    // The gradient that comes, another, and one that leaves nothing to scale.
    for (rows, expected_grad) in [(masked, 0.37), (7, 0.37), (7, 1.5), (masked, 0.0)] {
        let (output, saved) = super::masked_lm::forward(
            hidden(),
            words(),
            bias(),
            labels(),
            expected_grad,
            rows * vocabulary,
        );
        let (expected, expected_saved) = <Composed as Kernels<NdArray32>>::masked_lm_forward(
            hidden(),
            words(),
            bias(),
            labels(),
            1.0,
        );
        close("loss", output.loss_sum.clone(), expected.loss_sum);
        close("correct", output.correct, expected.correct);
        close(
            "logits",
            Fused::masked_lm_logits(hidden(), words(), bias()),
            <Composed as Kernels<NdArray32>>::masked_lm_logits(hidden(), words(), bias()),
        );
        let alone = Fused::masked_lm(hidden(), words(), bias(), labels());
        close("loss alone", alone.loss_sum, output.loss_sum);
        all_close(
            "masked LM",
            Fused::masked_lm_backward(grad(), saved),
            <Composed as Kernels<NdArray32>>::masked_lm_backward(grad(), expected_saved),
        );
    }
}

#[test]
fn of_equal_scores_the_first_is_the_most_probable() {
    let (vocabulary, width) = (5, 3);
    let values = [0, 2, 0, 4].into_iter();
    let labels = || ids::<NdArray32>(values.clone(), &Device::default()).into_primitive();
    let zeros = |shape: &[usize]| tensor(shape, vec![0.0; shape.iter().product()]);
    let arguments = || {
        (
            zeros(&[4, width]),
            zeros(&[vocabulary, width]),
            zeros(&[vocabulary]),
        )
    };
    let (hidden, words, bias) = arguments();
    let output = Fused::masked_lm(hidden, words, bias, labels());
    let (hidden, words, bias) = arguments();
    let expected = <Composed as Kernels<NdArray32>>::masked_lm(hidden, words, bias, labels());
    assert_eq!(elements(&floats(output.correct.clone())), [2.0]);
    close("correct", output.correct, expected.correct);
}

#[test]
fn of_no_masked_token_there_is_no_loss_and_no_gradient() {
    let (vocabulary, width) = (211, 13);
    let labels = ids::<NdArray32>(std::iter::empty(), &Device::default()).into_primitive();
    let (output, saved) = Fused::masked_lm_forward(
        tensor(&[0, width], Vec::new()),
        random("words", &[vocabulary, width]),
        random("bias", &[vocabulary]),
        labels,
        1.0,
    );
    assert_eq!(elements(&floats(output.loss_sum)), [0.0]);
    let grads = Fused::masked_lm_backward(tensor(&[1], vec![1.0]), saved);
    let [d_hidden, d_words, d_bias] = grads.map(floats);
    assert_eq!(d_hidden.shape(), [0, width]);
    assert_eq!(d_words.shape(), [vocabulary, width]);
    for grads in [&d_words, &d_bias] {
        assert!(elements(grads).iter().all(|grad| *grad == 0.0));
    }
}

#[test]
fn updates_and_norms() {
    let shape = [173, 211];
    let args = AdamArgs {
        learning_rate: 0.01,
        beta_1: 0.9,
        beta_2: 0.98,
        epsilon: 1e-6,
        weight_decay: 0.02,
        corrected_step: Some(3),
    };
    let moments = || Moments::<NdArray32> {
        first: random("first", &shape),
        second: tensor(
            &shape,
            elements(&floats(random("second", &shape)))
                .iter()
                .map(|x| x.abs())
                .collect(),
        ),
    };
    let (theta, grad) = (|| random("theta", &shape), || random("grad", &shape));
    let scale = || tensor(&[1], vec![0.5]);
    let undecayed = AdamArgs {
        weight_decay: 0.0,
        ..args
    };
    for (args, keep) in [(args, false), (args, true), (undecayed, false)] {
        // A parameter that somebody keeps is not overwritten.
        let parameter = theta();
        let kept = keep.then(|| parameter.clone());
        let (fused, m) = Fused::adamw(parameter, grad(), scale(), moments(), args);
        if let Some(kept) = kept {
            close("kept", kept, theta());
        }
        let (composed, n) =
            <Composed as Kernels<NdArray32>>::adamw(theta(), grad(), scale(), moments(), args);
        close("AdamW", fused, composed);
        close("first moment", m.first, n.first);
        close("second moment", m.second, n.second);
        let (fused, _) = Fused::lamb(theta(), grad(), scale(), moments(), args);
        let (composed, _) =
            <Composed as Kernels<NdArray32>>::lamb(theta(), grad(), scale(), moments(), args);
        close("LAMB", fused, composed);
    }
    close(
        "squared norm",
        Fused::squared_norm(theta()),
        <Composed as Kernels<NdArray32>>::squared_norm(theta()),
    );
}

/// `Σ weights * f(x)` moves by `Σ gradient * direction` along a direction.
fn gradient_is_the_slope(
    what: &str,
    x: &NdArrayTensor,
    weights: &NdArrayTensor,
    gradient: &NdArrayTensor,
    f: impl Fn(NdArrayTensor) -> NdArrayTensor,
) {
    let direction = random(what, burn::tensor::TensorMetadata::shape(x).as_slice());
    let inner = |a: &NdArrayTensor, b: &NdArrayTensor| -> f64 {
        let (a, b) = (floats(a.clone()), floats(b.clone()));
        let products = elements(&a).iter().zip(elements(&b));
        products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let step = 1e-3;
    let along = |sign: f32| {
        let moved = NdArray::<f32>::float_add(
            x.clone(),
            NdArray::<f32>::float_mul_scalar(direction.clone(), (sign * step).into()),
        );
        inner(weights, &f(moved))
    };
    let slope = (along(1.0) - along(-1.0)) / (2.0 * f64::from(step));
    let expected = inner(gradient, &direction);
    let error = (slope - expected).abs();
    assert!(
        error < 2e-3 * (1.0 + expected.abs()),
        "{what}: {expected} is not {slope}"
    );
}

const DROPOUT: Dropout = Dropout {
    probability: 0.3,
    seed: 11,
};

#[test]
fn attention_with_dropout_has_the_gradient_of_its_loss() {
    let (heads, hidden, lengths) = (2, 10, [70, 3, 12]);
    let tokens = lengths.iter().sum();
    let counts = [5, 3, 0];
    let sequences =
        [&counts, &lengths].map(|lengths| Sequences::<NdArray32>::new(lengths, &Device::default()));
    let args = AttentionArgs {
        heads,
        dropout: DROPOUT,
    };
    let tensors = attention_tensors(8, tokens, hidden);
    let weights = random("weights", &[8, hidden]);
    let attend = |tensors, args| Fused::attention_forward(tensors, sequences.each_ref(), args);
    let (y, saved) = attend(tensors.clone(), args);
    let gradient = Fused::attention_backward(weights.clone(), sequences.each_ref(), args, saved);
    let (query, key_value) = (&tensors.query, &tensors.key_value);
    gradient_is_the_slope("query", query, &weights, &gradient.query, |query| {
        let key_value = key_value.clone();
        attend(AttentionTensors { query, key_value }, args).0
    });
    gradient_is_the_slope(
        "keys",
        key_value,
        &weights,
        &gradient.key_value,
        |key_value| {
            let query = query.clone();
            attend(AttentionTensors { query, key_value }, args).0
        },
    );
    let undropped = AttentionArgs {
        dropout: Dropout::NONE,
        ..args
    };
    let without = attend(tensors, undropped).0;
    let difference = Tensor::<NdArray32, 2>::from_primitive(burn::tensor::TensorPrimitive::Float(
        NdArray::<f32>::float_sub(y, without),
    ));
    assert!(difference.abs().max().into_scalar() > 0.01);
}

#[test]
fn layer_norms_with_dropout_have_the_gradient_of_their_loss() {
    let (rows, hidden) = (23, 17);
    let args = LayerNormArgs {
        eps: 1e-12,
        dropout: DROPOUT,
    };
    let (x, residual) = (
        random("x", &[rows, hidden]),
        random("residual", &[rows, hidden]),
    );
    let (gamma, beta) = (random("gamma", &[hidden]), random("beta", &[hidden]));
    let weights = random("weights", &[rows, hidden]);
    let of = |x, residual, gamma: &NdArrayTensor| {
        Fused::add_layer_norm_forward(x, Some(residual), gamma.clone(), beta.clone(), args)
    };
    let (_, saved) = of(x.clone(), residual.clone(), &gamma);
    let [dx, d_residual, d_gamma, _] = Fused::add_layer_norm_backward(weights.clone(), saved);
    gradient_is_the_slope("x", &x, &weights, &dx, |x| {
        of(x, residual.clone(), &gamma).0
    });
    gradient_is_the_slope("residual", &residual, &weights, &d_residual, |residual| {
        of(x.clone(), residual, &gamma).0
    });
    gradient_is_the_slope("gamma", &gamma, &weights, &d_gamma, |gamma| {
        of(x.clone(), residual.clone(), &gamma).0
    });
}

#[test]
fn embeddings_with_dropout_have_the_gradient_of_their_loss() {
    let (tokens, hidden) = (40, 11);
    let device = Device::default();
    let lists = || {
        [7_i64, 5, 2].map(|modulus| {
            let values = (0..tokens as i64).map(move |i| (i * i) % modulus);
            ids::<NdArray32>(values, &device).into_primitive()
        })
    };
    let args = LayerNormArgs {
        eps: 1e-12,
        dropout: DROPOUT,
    };
    let words = random("word", &[7, hidden]);
    let others = || {
        [
            random("position", &[5, hidden]),
            random("type", &[2, hidden]),
        ]
    };
    let (gamma, beta) = (random("gamma", &[hidden]), random("beta", &[hidden]));
    let weights = random("weights", &[tokens, hidden]);
    let of = |words| {
        let [position, token_type] = others();
        let tables = [words, position, token_type];
        Fused::embed_forward(tables, lists(), gamma.clone(), beta.clone(), args)
    };
    let (_, saved) = of(words.clone());
    let [d_words, ..] = Fused::embed_backward(weights.clone(), saved, None);
    gradient_is_the_slope("word embeddings", &words, &weights, &d_words, |words| {
        of(words).0
    });
}

/// This and the tests of products once more, in a process that uses no newer instructions.
#[test]
fn all_of_it_holds_on_the_oldest_processors() {
    if super::instructions::are_portable() {
        return;
    }
    let tests = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(tests)
        .env("BERT_CPU", "portable")
        .arg("ops::ndarray")
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("oldest_processors ... ok"), "{text}");
}
