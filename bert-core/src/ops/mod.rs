//! The few operations BERT is made of, as one extension of Burn's [`Backend`].
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | [`BertBackend`]: what modules call |
//! | [`kernels`] | [`Kernels`]: what a backend implements, each operation a forward and a backward function |
//! | [`composed`] | those of ordinary Burn tensor operations, for any backend |
//! | `ndarray/` | fused ones for the CPU, one file an operation |
//! | `autodiff.rs` | [`BertBackend`] for `Autodiff<B>`: joins forward and backward, for any `B` |
//! | [`dropout`] | masks as a function of a seed |

mod autodiff;
pub mod composed;
pub mod dropout;
pub mod kernels;
#[cfg(feature = "ndarray")]
pub mod ndarray;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{Tensor, TensorPrimitive};

pub use composed::Composed;
pub use dropout::{Dropout, DropoutKey};
pub use kernels::{
    Activation, AdamArgs, AttentionArgs, AttentionTensors, EmbeddingIds, Kernels, LayerNormArgs,
    LinearTensors, MaskedLmOutput, Moments,
};

use crate::data::packed::Sequences;

/// Burn's `Backend` plus the operations of BERT, as modules call them. What each computes is said in [`Kernels`].
pub trait BertBackend: Backend {
    /// The implementation.
    type Kernels: Kernels<Self>;

    /// `activation(x W + b)`.
    ///
    /// # Shapes
    /// x `[rows, in]`, weight `[in, out]`, bias `[out]` -> `[rows, out]`
    fn bert_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        Self::Kernels::linear(x, weight, bias, activation)
    }

    /// Two linear maps of one input, side by side: `x [W₁ W₂] + [b₁ b₂]`.
    ///
    /// # Shapes
    /// x `[rows, in]`, maps `[in, out]` -> `[rows, 2 * out]`
    fn bert_joint_linear(
        x: FloatTensor<Self>,
        maps: [LinearTensors<FloatTensor<Self>>; 2],
    ) -> FloatTensor<Self> {
        Self::Kernels::joint_linear_forward(x, maps).0
    }

    /// `activation(x W₁ + b₁) W₂ + b₂` (Vaswani et al. 2017, equation 2).
    ///
    /// # Shapes
    /// x `[rows, hidden]`, maps `[hidden, intermediate]` and `[intermediate, hidden]` -> `[rows, hidden]`
    fn bert_feed_forward(
        x: FloatTensor<Self>,
        maps: [LinearTensors<FloatTensor<Self>>; 2],
        activation: Activation,
    ) -> FloatTensor<Self> {
        Self::Kernels::feed_forward(x, maps, activation)
    }

    /// `LayerNorm(residual + dropout(x))`, without the residual where there is none.
    ///
    /// # Shapes
    /// x and residual `[rows, hidden]`, gamma and beta `[hidden]` -> `[rows, hidden]`
    fn bert_add_layer_norm(
        x: FloatTensor<Self>,
        residual: Option<FloatTensor<Self>>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        args: LayerNormArgs,
    ) -> FloatTensor<Self> {
        Self::Kernels::add_layer_norm_forward(x, residual, gamma, beta, args).0
    }

    /// Scaled dot-product attention of every sequence on its own. `sequences` says where the queries of each sequence are,
    /// then its keys and values: the same, or fewer queries.
    ///
    /// # Shapes
    /// query `[queries, hidden]`, key_value `[tokens, 2 * hidden]` -> `[queries, hidden]`
    fn bert_attention(
        tensors: AttentionTensors<FloatTensor<Self>>,
        sequences: [&Sequences<Self>; 2],
        args: AttentionArgs,
    ) -> FloatTensor<Self> {
        Self::Kernels::attention_forward(tensors, sequences, args).0
    }

    /// `dropout(LayerNorm(word + position + token_type))`.
    ///
    /// # Shapes
    /// tables `[rows, hidden]`, ids `[tokens]` each, gamma and beta `[hidden]` -> `[tokens, hidden]`
    fn bert_embed(
        tables: [FloatTensor<Self>; 3],
        ids: EmbeddingIds<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        args: LayerNormArgs,
    ) -> FloatTensor<Self> {
        Self::Kernels::embed_forward(tables, ids, gamma, beta, args).0
    }

    /// The masked-LM loss over the tied decoder, summed over the masked tokens. The last argument is what the gradient of the
    /// sum will be: gradients are prepared for it, and any other is a pass over them more.
    ///
    /// # Shapes
    /// hidden `[masked, hidden]`, word_embeddings `[vocabulary, hidden]`, bias `[vocabulary]`, labels `[masked]`
    fn bert_masked_lm_loss(
        hidden: FloatTensor<Self>,
        word_embeddings: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: IntTensor<Self>,
        _expected_grad: f64,
    ) -> MaskedLmOutput<Self> {
        Self::Kernels::masked_lm(hidden, word_embeddings, bias, labels)
    }

    /// The scores of every word, over the tied decoder.
    ///
    /// # Shapes
    /// hidden `[rows, hidden]`, word_embeddings `[vocabulary, hidden]`, bias `[vocabulary]` -> `[rows, vocabulary]`
    fn bert_masked_lm_logits(
        hidden: FloatTensor<Self>,
        word_embeddings: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::Kernels::masked_lm_logits(hidden, word_embeddings, bias)
    }
}

/// What training needs: a backend that differentiates, over one with BERT's operations.
pub trait BertAutodiffBackend: AutodiffBackend<InnerBackend: BertBackend> + BertBackend {}
impl<B: AutodiffBackend<InnerBackend: BertBackend> + BertBackend> BertAutodiffBackend for B {}

#[cfg(feature = "wgpu")]
impl<F, I, Q> BertBackend for burn_wgpu::Wgpu<F, I, Q>
where
    F: burn_wgpu::FloatElement,
    I: burn_wgpu::IntElement,
    Q: burn_wgpu::BoolElement,
{
    type Kernels = Composed;
}

/// A primitive as a tensor.
pub(crate) fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

/// A tensor as a primitive.
pub(crate) fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}
