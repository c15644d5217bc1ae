//! The few operations BERT is made of, as one extension of Burn's [`Backend`].
//!
//! Each operation is a forward and a backward function on a backend without differentiation; `autodiff` joins
//! the two for `Autodiff<B>`. The defaults are composed of ordinary Burn tensor operations, one file an
//! operation, so that wgpu and any other backend work unchanged; a backend with kernels of its own overrides both.

pub mod attention;
mod autodiff;
pub mod dropout;
pub mod embedding;
pub mod layer_norm;
pub mod linear;
pub mod masked_lm;
#[cfg(feature = "ndarray")]
pub mod ndarray;
pub mod update;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{Tensor, TensorPrimitive};

pub use attention::{AttentionArgs, AttentionSaved};
pub use dropout::{Dropout, DropoutKey};
pub use embedding::EmbeddingIds;
pub use layer_norm::{LayerNormArgs, LayerNormSaved};
pub use linear::Activation;
pub use masked_lm::{MaskedLmOutput, MaskedLmSaved};
pub use update::{AdamArgs, Moments};

use crate::data::packed::Sequences;

/// Burn's `Backend` plus the operations of BERT.
///
/// Modules call the methods without a suffix. The pairs `…_forward` and `…_backward` are what a backend overrides:
/// a forward step returns, beside its result, what its backward step needs.
pub trait BertBackend: Backend {
    /// `activation(x W + b)`; see [`linear`].
    ///
    /// # Shapes
    /// x `[tokens, in]`, weight `[in, out]`, bias `[out]` -> `[tokens, out]`
    fn bert_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        Self::bert_linear_forward(x, weight, bias, activation).0
    }

    /// The forward step of [`BertBackend::bert_linear`], with the pre-activation where one is needed.
    fn bert_linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        linear::forward::<Self>(x, weight, bias, activation)
    }

    /// Gradients of x, weight and bias.
    fn bert_linear_backward(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        pre_activation: Option<FloatTensor<Self>>,
        activation: Activation,
    ) -> [FloatTensor<Self>; 3] {
        linear::backward::<Self>(grad, x, weight, pre_activation, activation)
    }

    /// `LayerNorm(residual + dropout(x))`; see [`layer_norm`].
    ///
    /// # Shapes
    /// x and residual `[tokens, hidden]`, gamma and beta `[hidden]` -> `[tokens, hidden]`
    fn bert_add_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        args: LayerNormArgs,
    ) -> FloatTensor<Self> {
        Self::bert_add_layer_norm_forward(x, Some(residual), gamma, beta, args).0
    }

    /// `LayerNorm(x)`, without residual or dropout: the transform of the masked-LM head.
    fn bert_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        let args = LayerNormArgs {
            eps,
            dropout: Dropout::NONE,
        };
        Self::bert_add_layer_norm_forward(x, None, gamma, beta, args).0
    }

    /// The forward step of [`BertBackend::bert_add_layer_norm`].
    fn bert_add_layer_norm_forward(
        x: FloatTensor<Self>,
        residual: Option<FloatTensor<Self>>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        args: LayerNormArgs,
    ) -> (FloatTensor<Self>, LayerNormSaved<Self>) {
        layer_norm::forward::<Self>(x, residual, gamma, beta, args)
    }

    /// Gradients of x, residual, gamma and beta.
    fn bert_add_layer_norm_backward(
        grad: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        saved: LayerNormSaved<Self>,
    ) -> [FloatTensor<Self>; 4] {
        layer_norm::backward::<Self>(grad, gamma, saved)
    }

    /// Scaled dot-product attention of every sequence on its own; see [`attention`].
    ///
    /// # Shapes
    /// qkv `[tokens, 3 * hidden]` -> `[tokens, hidden]`
    fn bert_attention(
        qkv: FloatTensor<Self>,
        sequences: &Sequences<Self>,
        args: AttentionArgs,
    ) -> FloatTensor<Self> {
        Self::bert_attention_forward(qkv, sequences, args).0
    }

    /// The forward step of [`BertBackend::bert_attention`].
    fn bert_attention_forward(
        qkv: FloatTensor<Self>,
        sequences: &Sequences<Self>,
        args: AttentionArgs,
    ) -> (FloatTensor<Self>, AttentionSaved<Self>) {
        attention::forward::<Self>(qkv, sequences, args)
    }

    /// The gradient of qkv.
    fn bert_attention_backward(
        grad: FloatTensor<Self>,
        sequences: &Sequences<Self>,
        args: AttentionArgs,
        saved: AttentionSaved<Self>,
    ) -> FloatTensor<Self> {
        attention::backward::<Self>(grad, sequences, args, saved)
    }

    /// The sum of the word, position and token type embeddings of every token; see [`embedding`].
    ///
    /// # Shapes
    /// tables `[rows, hidden]`, ids `[tokens]` each -> `[tokens, hidden]`
    fn bert_embed(tables: [FloatTensor<Self>; 3], ids: EmbeddingIds<Self>) -> FloatTensor<Self> {
        embedding::forward::<Self>(tables, ids)
    }

    /// Gradients of the three tables, whose numbers of rows are `rows`.
    fn bert_embed_backward(
        grad: FloatTensor<Self>,
        rows: [usize; 3],
        ids: EmbeddingIds<Self>,
    ) -> [FloatTensor<Self>; 3] {
        embedding::backward::<Self>(grad, rows, ids)
    }

    /// Rows of a matrix: `x[rows]`.
    ///
    /// # Shapes
    /// x `[tokens, hidden]`, rows `[n]` -> `[n, hidden]`
    fn bert_gather_rows(x: FloatTensor<Self>, rows: IntTensor<Self>) -> FloatTensor<Self> {
        Self::float_select(x, 0, rows)
    }

    /// The masked-LM loss over the tied decoder, summed over the masked tokens; see [`masked_lm`].
    ///
    /// # Shapes
    /// hidden `[masked, hidden]`, word_embeddings `[vocabulary, hidden]`, bias `[vocabulary]`, labels `[masked]`
    fn bert_masked_lm_loss(
        hidden: FloatTensor<Self>,
        word_embeddings: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: IntTensor<Self>,
    ) -> MaskedLmOutput<Self> {
        Self::bert_masked_lm_forward(hidden, word_embeddings, bias, labels).0
    }

    /// The forward step of [`BertBackend::bert_masked_lm_loss`].
    fn bert_masked_lm_forward(
        hidden: FloatTensor<Self>,
        word_embeddings: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: IntTensor<Self>,
    ) -> (MaskedLmOutput<Self>, MaskedLmSaved<Self>) {
        masked_lm::forward::<Self>(hidden, word_embeddings, bias, labels)
    }

    /// Gradients of hidden, word_embeddings and bias.
    fn bert_masked_lm_backward(
        grad: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        word_embeddings: FloatTensor<Self>,
        saved: MaskedLmSaved<Self>,
    ) -> [FloatTensor<Self>; 3] {
        masked_lm::backward::<Self>(grad, hidden, word_embeddings, saved)
    }

    /// One AdamW update of one parameter of any shape; see [`update`].
    fn bert_adamw(
        parameter: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        grad_scale: FloatTensor<Self>,
        moments: Moments<Self>,
        args: AdamArgs,
    ) -> (FloatTensor<Self>, Moments<Self>) {
        update::adamw::<Self>(parameter, grad, grad_scale, moments, args)
    }

    /// One LAMB update of one parameter of any shape; see [`update`].
    fn bert_lamb(
        parameter: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        grad_scale: FloatTensor<Self>,
        moments: Moments<Self>,
        args: AdamArgs,
    ) -> (FloatTensor<Self>, Moments<Self>) {
        update::lamb::<Self>(parameter, grad, grad_scale, moments, args)
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
}

/// A primitive as a tensor.
pub(crate) fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

/// A tensor as a primitive.
pub(crate) fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}
