//! What a backend implements: the operations of BERT, each with its backward step, and their arguments.

use std::fmt::Debug;

use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};

use super::Dropout;
use crate::config::HiddenActivation;
use crate::data::packed::Sequences;

/// The operations on a backend without differentiation.
///
/// `…_forward` returns, beside its result, what `…_backward` needs, in a type of the implementation's own; the operation's
/// bare name is the same result with nothing kept, where that is less work. A backward step returns gradients in the order
/// of the forward step's tensors. `so_far` is the gradient that a tensor already has from its other uses: it is added up,
/// in place where that is possible.
pub trait Kernels<B: Backend>: Debug + Send + 'static {
    /// What [`Kernels::linear_backward`] needs.
    type LinearSaved: Saved;
    /// What [`Kernels::joint_linear_backward`] needs.
    type JointLinearSaved: Saved;
    /// What [`Kernels::feed_forward_backward`] needs.
    type FeedForwardSaved: Saved;
    /// What [`Kernels::add_layer_norm_backward`] needs.
    type LayerNormSaved: Saved;
    /// What [`Kernels::attention_backward`] needs.
    type AttentionSaved: Saved;
    /// What [`Kernels::embed_backward`] needs.
    type EmbedSaved: Saved;
    /// What [`Kernels::masked_lm_backward`] needs.
    type MaskedLmSaved: Saved;

    /// `y = activation(z)`, `z = x W + b`, with nothing kept.
    fn linear(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        activation: Activation,
    ) -> FloatTensor<B> {
        Self::linear_forward(x, weight, bias, activation).0
    }

    /// The same for training.
    fn linear_forward(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        activation: Activation,
    ) -> (FloatTensor<B>, Self::LinearSaved);

    /// `dz = dy * activation'(z)`; `[dx, dW, db] = [so_far + dz Wᵀ, xᵀ dz, Σ_rows dz]`.
    fn linear_backward(
        grad: FloatTensor<B>,
        saved: Self::LinearSaved,
        so_far: Option<FloatTensor<B>>,
    ) -> [FloatTensor<B>; 3];

    /// Two linear maps of the same input, their results side by side: `y = x [W₁ W₂] + [b₁ b₂]`.
    ///
    /// # Shapes
    /// x `[rows, in]`, maps `[in, out]` -> `[rows, 2 * out]`
    fn joint_linear_forward(
        x: FloatTensor<B>,
        maps: [LinearTensors<FloatTensor<B>>; 2],
    ) -> (FloatTensor<B>, Self::JointLinearSaved);

    /// `[dx, dW₁, db₁, dW₂, db₂]`.
    fn joint_linear_backward(
        grad: FloatTensor<B>,
        saved: Self::JointLinearSaved,
        so_far: Option<FloatTensor<B>>,
    ) -> [FloatTensor<B>; 5];

    /// `y = activation(x W₁ + b₁) W₂ + b₂`, with nothing kept.
    fn feed_forward(
        x: FloatTensor<B>,
        maps: [LinearTensors<FloatTensor<B>>; 2],
        activation: Activation,
    ) -> FloatTensor<B> {
        Self::feed_forward_forward(x, maps, activation).0
    }

    /// The same for training.
    fn feed_forward_forward(
        x: FloatTensor<B>,
        maps: [LinearTensors<FloatTensor<B>>; 2],
        activation: Activation,
    ) -> (FloatTensor<B>, Self::FeedForwardSaved);

    /// `[dx, dW₁, db₁, dW₂, db₂]`.
    fn feed_forward_backward(
        grad: FloatTensor<B>,
        saved: Self::FeedForwardSaved,
        so_far: Option<FloatTensor<B>>,
    ) -> [FloatTensor<B>; 5];

    /// `y = γ x̂ + β`, `x̂ = (s - mean(s)) / sqrt(var(s) + ε)`, `s = residual + dropout(x)` (Ba et al. 2016).
    fn add_layer_norm_forward(
        x: FloatTensor<B>,
        residual: Option<FloatTensor<B>>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        args: LayerNormArgs,
    ) -> (FloatTensor<B>, Self::LayerNormSaved);

    /// `g = γ dy`, `ds = (g - mean(g) - x̂ mean(g x̂)) / sqrt(var(s) + ε)`;
    /// `[dx, dresidual, dγ, dβ] = [ds * mask, ds, Σ_rows dy x̂, Σ_rows dy]`.
    fn add_layer_norm_backward(
        grad: FloatTensor<B>,
        saved: Self::LayerNormSaved,
    ) -> [FloatTensor<B>; 4];

    /// `softmax(Q Kᵀ / sqrt(d)) V` (Vaswani et al. 2017, equation 1) for every sequence and head on its own, with dropout
    /// of the probabilities. Keys and values stand side by side in the columns of one tensor, heads within each; queries
    /// may be those of some tokens only.
    fn attention_forward(
        tensors: AttentionTensors<FloatTensor<B>>,
        sequences: [&Sequences<B>; 2],
        args: AttentionArgs,
    ) -> (FloatTensor<B>, Self::AttentionSaved);

    /// With P the probabilities and D the scaled dropout mask: `dV = (P D)ᵀ dO`, `dP = (dO Vᵀ) D`,
    /// `dS = P (dP - Σ_keys dP P)`, `dQ = dS K / sqrt(d)`, `dK = dSᵀ Q / sqrt(d)`.
    fn attention_backward(
        grad: FloatTensor<B>,
        sequences: [&Sequences<B>; 2],
        args: AttentionArgs,
        saved: Self::AttentionSaved,
    ) -> AttentionTensors<FloatTensor<B>>;

    /// `dropout(LayerNorm(e))`, `e_t = word[id_t] + position[p_t] + token_type[s_t]` (Devlin et al. 2019, figure 2).
    fn embed_forward(
        tables: [FloatTensor<B>; 3],
        ids: EmbeddingIds<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        args: LayerNormArgs,
    ) -> (FloatTensor<B>, Self::EmbedSaved);

    /// Gradients of the three tables, each row the sum of the gradients of the tokens that used it, then of γ and β.
    /// `so_far` is that of the words, whose table is the masked-LM head's decoder too.
    fn embed_backward(
        grad: FloatTensor<B>,
        saved: Self::EmbedSaved,
        so_far: Option<FloatTensor<B>>,
    ) -> [FloatTensor<B>; 5];

    /// `-Σ_masked log softmax(h Eᵀ + b)[label]` with E the word embeddings (Devlin et al. 2019, 3.1), nothing kept.
    fn masked_lm(
        hidden: FloatTensor<B>,
        word_embeddings: FloatTensor<B>,
        bias: FloatTensor<B>,
        labels: IntTensor<B>,
    ) -> MaskedLmOutput<B> {
        Self::masked_lm_forward(hidden, word_embeddings, bias, labels, 1.0).0
    }

    /// The same for training. `expected_grad` is what the gradient of the sum will be, if all goes as planned: a kernel may
    /// prepare for it, and must give the right gradients for any other.
    fn masked_lm_forward(
        hidden: FloatTensor<B>,
        word_embeddings: FloatTensor<B>,
        bias: FloatTensor<B>,
        labels: IntTensor<B>,
        expected_grad: f64,
    ) -> (MaskedLmOutput<B>, Self::MaskedLmSaved);

    /// With P the probabilities, Y the one-hot labels and g `[1]` the gradient of the sum: `dlogits = (P - Y) g`,
    /// `[dh, dE, db] = [dlogits E, dlogitsᵀ h, Σ_masked dlogits]`.
    fn masked_lm_backward(grad: FloatTensor<B>, saved: Self::MaskedLmSaved) -> [FloatTensor<B>; 3];

    /// The scores of every word, `h Eᵀ + b`.
    ///
    /// # Shapes
    /// hidden `[rows, hidden]`, word_embeddings `[vocabulary, hidden]`, bias `[vocabulary]` -> `[rows, vocabulary]`
    fn masked_lm_logits(
        hidden: FloatTensor<B>,
        word_embeddings: FloatTensor<B>,
        bias: FloatTensor<B>,
    ) -> FloatTensor<B>;

    /// One AdamW update of one parameter of any shape (Loshchilov and Hutter 2019, algorithm 2):
    /// `m ← β₁ m + (1 - β₁) g`, `v ← β₂ v + (1 - β₂) g²`, `θ ← θ - η u` with
    /// `u = (m / c₁) / (sqrt(v / c₂) + ε) + λ θ` and `c = 1 - βᵗ`, or 1 without bias correction.
    /// `grad_scale` `[1]` multiplies the gradient first: global-norm clipping.
    fn adamw(
        parameter: FloatTensor<B>,
        grad: FloatTensor<B>,
        grad_scale: FloatTensor<B>,
        moments: Moments<B>,
        args: AdamArgs,
    ) -> (FloatTensor<B>, Moments<B>);

    /// One LAMB update (You et al. 2020, algorithm 2): `θ ← θ - η u ‖θ‖ / ‖u‖`, and `θ - η u` where a norm is zero.
    fn lamb(
        parameter: FloatTensor<B>,
        grad: FloatTensor<B>,
        grad_scale: FloatTensor<B>,
        moments: Moments<B>,
        args: AdamArgs,
    ) -> (FloatTensor<B>, Moments<B>);

    /// `Σ x²`, `[1]`.
    fn squared_norm(x: FloatTensor<B>) -> FloatTensor<B>;
}

/// What a forward step keeps for its backward step.
pub trait Saved: Clone + Debug + Send + 'static {}
impl<T: Clone + Debug + Send + 'static> Saved for T {}

/// The parameters of a linear map.
#[derive(Debug, Clone)]
pub struct LinearTensors<T> {
    /// `[in, out]`
    pub weight: T,
    /// `[out]`
    pub bias: T,
}

/// What attention reads, or the gradients of that.
#[derive(Debug, Clone)]
pub struct AttentionTensors<T> {
    /// `[queries, hidden]`
    pub query: T,
    /// `[tokens, 2 * hidden]`, keys and then values.
    pub key_value: T,
}

/// The function after a linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// The exact GELU, `z Φ(z)` (Hendrycks and Gimpel 2016); Hugging Face's `gelu`.
    Gelu,
    /// Its tanh approximation; Hugging Face's `gelu_new` and `gelu_pytorch_tanh`, google-research/bert's GELU.
    GeluTanh,
    /// `max(z, 0)`.
    Relu,
    /// The pooler's.
    Tanh,
}

impl From<HiddenActivation> for Activation {
    fn from(activation: HiddenActivation) -> Self {
        match activation {
            HiddenActivation::Gelu => Self::Gelu,
            HiddenActivation::GeluNew | HiddenActivation::GeluPytorchTanh => Self::GeluTanh,
            HiddenActivation::Relu => Self::Relu,
        }
    }
}

/// The settings of an add-and-norm.
#[derive(Debug, Clone, Copy)]
pub struct LayerNormArgs {
    /// ε, added to the variance.
    pub eps: f64,
    /// Dropout of x before the residual is added; of the result for embeddings.
    pub dropout: Dropout,
}

/// The settings of an attention.
#[derive(Debug, Clone, Copy)]
pub struct AttentionArgs {
    /// The number of heads, which divides the hidden size.
    pub heads: usize,
    /// Dropout of the probabilities, after the softmax.
    pub dropout: Dropout,
}

impl AttentionArgs {
    /// `1 / sqrt(d)`.
    pub fn scale(head_dim: usize) -> f64 {
        1.0 / (head_dim as f64).sqrt()
    }
}

/// The three ids of every token, `[tokens]` each: word, position, token type.
pub type EmbeddingIds<B> = [IntTensor<B>; 3];

/// The loss and what is reported beside it.
#[derive(Debug, Clone)]
pub struct MaskedLmOutput<B: Backend> {
    /// The sum of the negative log-likelihoods, `[1]`.
    pub loss_sum: FloatTensor<B>,
    /// How many labels were the most probable token, `[1]`; carries no gradient.
    pub correct: FloatTensor<B>,
}

/// The first and second moment of a parameter's gradient, in its shape.
#[derive(Debug, Clone)]
pub struct Moments<B: Backend> {
    /// m
    pub first: FloatTensor<B>,
    /// v
    pub second: FloatTensor<B>,
}

/// The scalars of one update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamArgs {
    /// η.
    pub learning_rate: f64,
    /// β₁.
    pub beta_1: f64,
    /// β₂.
    pub beta_2: f64,
    /// ε.
    pub epsilon: f64,
    /// λ, 0 for parameters that do not decay.
    pub weight_decay: f64,
    /// The updates so far with this one, for bias correction; `None` leaves it out, as google-research/bert does.
    pub corrected_step: Option<u64>,
}

impl AdamArgs {
    /// `(c₁, c₂)`.
    pub fn corrections(&self) -> (f64, f64) {
        match self.corrected_step {
            Some(step) => (
                1.0 - self.beta_1.powf(step as f64),
                1.0 - self.beta_2.powf(step as f64),
            ),
            None => (1.0, 1.0),
        }
    }
}
