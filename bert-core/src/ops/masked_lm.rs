//! `-Σ_masked log softmax(h Eᵀ + b)[label]` with E the word embeddings themselves (Devlin et al. 2019, 3.1).
//!
//! Backward, with P the probabilities and Y the one-hot labels: `dlogits = (P - Y) g`, `dh = dlogits E`,
//! `dE = dlogitsᵀ h`, `db = Σ_masked dlogits`.

use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::{primitive, tensor};

/// The loss and what is reported beside it.
#[derive(Debug, Clone)]
pub struct MaskedLmOutput<B: Backend> {
    /// The sum of the negative log-likelihoods, `[1]`.
    pub loss_sum: FloatTensor<B>,
    /// How many labels were the most probable token, `[1]`; carries no gradient.
    pub correct: FloatTensor<B>,
}

/// What the backward step needs: `P - Y`, `[masked, vocabulary]`.
#[derive(Debug, Clone)]
pub struct MaskedLmSaved<B: Backend> {
    residual: FloatTensor<B>,
}

/// The loss and what [`backward`] needs.
pub fn forward<B: Backend>(
    hidden: FloatTensor<B>,
    word_embeddings: FloatTensor<B>,
    bias: FloatTensor<B>,
    labels: IntTensor<B>,
) -> (MaskedLmOutput<B>, MaskedLmSaved<B>) {
    let hidden: Tensor<B, 2> = tensor(hidden);
    let labels = Tensor::<B, 1, Int>::from_primitive(labels);
    let [masked] = labels.dims();
    let logits = hidden.matmul(tensor::<B, 2>(word_embeddings).transpose())
        + tensor::<B, 1>(bias).unsqueeze::<2>();
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
        residual: primitive(residual),
    };
    (output, saved)
}

/// `[dhidden, dE, db]` for the gradient `grad` `[1]` of the loss sum.
pub fn backward<B: Backend>(
    grad: FloatTensor<B>,
    hidden: FloatTensor<B>,
    word_embeddings: FloatTensor<B>,
    saved: MaskedLmSaved<B>,
) -> [FloatTensor<B>; 3] {
    let d_logits = tensor::<B, 2>(saved.residual) * tensor::<B, 1>(grad).unsqueeze::<2>();
    let d_hidden = d_logits.clone().matmul(tensor::<B, 2>(word_embeddings));
    let d_embeddings = d_logits.clone().transpose().matmul(tensor::<B, 2>(hidden));
    let d_bias = d_logits.sum_dim(0).squeeze_dim::<1>(0);
    [
        primitive(d_hidden),
        primitive(d_embeddings),
        primitive(d_bias),
    ]
}
