//! The masked-LM loss over the tied decoder.

use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::product;
use crate::ops::{MaskedLmOutput, primitive, tensor};

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct MaskedLmSaved<B: Backend> {
    hidden: FloatTensor<B>,
    word_embeddings: FloatTensor<B>,
    /// `P - Y`, `[masked, vocabulary]`.
    residual: FloatTensor<B>,
}

pub(super) fn forward<B: Backend>(
    hidden: FloatTensor<B>,
    word_embeddings: FloatTensor<B>,
    bias: FloatTensor<B>,
    labels: IntTensor<B>,
) -> (MaskedLmOutput<B>, MaskedLmSaved<B>) {
    let labels = Tensor::<B, 1, Int>::from_primitive(labels);
    let [masked] = labels.dims();
    let logits = logits::<B>(hidden.clone(), word_embeddings.clone(), bias);
    let logits = tensor::<B, 2>(logits);
    let labels = labels.reshape([masked, 1]);
    let correct = logits.clone().argmax(1).equal(labels.clone()).float().sum();
    let log_probabilities = log_softmax(logits, 1);
    let loss_sum = log_probabilities
        .clone()
        .gather(1, labels.clone())
        .sum()
        .neg();
    let minus_one = Tensor::<B, 2>::full([masked, 1], -1.0, &labels.device());
    let residual = log_probabilities
        .exp()
        .scatter(1, labels, minus_one, IndexingUpdateOp::Add);
    let output = MaskedLmOutput {
        loss_sum: primitive(loss_sum),
        correct: primitive(correct),
    };
    let saved = MaskedLmSaved {
        hidden,
        word_embeddings,
        residual: primitive(residual),
    };
    (output, saved)
}

pub(super) fn logits<B: Backend>(
    hidden: FloatTensor<B>,
    word_embeddings: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let decoder = tensor::<B, 2>(word_embeddings).transpose();
    let bias = tensor::<B, 1>(bias).unsqueeze::<2>();
    primitive(product(tensor::<B, 2>(hidden), decoder) + bias)
}

pub(super) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    saved: MaskedLmSaved<B>,
) -> [FloatTensor<B>; 3] {
    let d_logits = tensor::<B, 2>(saved.residual) * tensor::<B, 1>(grad).unsqueeze::<2>();
    let d_hidden = product(d_logits.clone(), tensor(saved.word_embeddings));
    let d_embeddings = product(d_logits.clone().transpose(), tensor(saved.hidden));
    let d_bias = d_logits.sum_dim(0).squeeze_dim::<1>(0);
    [
        primitive(d_hidden),
        primitive(d_embeddings),
        primitive(d_bias),
    ]
}
