//! The layers of BERT, named as in its checkpoints.

mod attention;
mod embeddings;
mod encoder;
mod feed_forward;
mod init;
mod layer;
mod mean;
mod pooler;

pub use attention::{Attention, Selected, SelfAttention};
pub use embeddings::{Embedding, Embeddings};
pub use encoder::Encoder;
pub use feed_forward::{Intermediate, ResidualOutput};
pub use init::Init;
pub use layer::Layer;
pub use mean::mean_pooled;
pub use pooler::Pooler;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use crate::ops::{
    Activation, BertBackend, Dropout, LayerNormArgs, LinearTensors, primitive, tensor,
};

/// `activation(x W + b)`.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[in, out]`; checkpoints keep its transpose.
    pub weight: Param<Tensor<B, 2>>,
    /// `[out]`
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Linear<B> {
    /// Its parameters, as operations take them.
    pub fn tensors(&self) -> LinearTensors<FloatTensor<B>> {
        LinearTensors {
            weight: primitive(self.weight.val()),
            bias: primitive(self.bias.val()),
        }
    }
}

impl<B: BertBackend> Linear<B> {
    /// # Shapes
    /// `[rows, in] -> [rows, out]`
    pub fn forward(&self, x: Tensor<B, 2>, activation: Activation) -> Tensor<B, 2> {
        let LinearTensors { weight, bias } = self.tensors();
        tensor(B::bert_linear(primitive(x), weight, bias, activation))
    }
}

/// The scale and shift of a layer normalisation.
#[derive(Module, Debug)]
pub struct LayerNorm<B: Backend> {
    /// γ `[hidden]`
    pub weight: Param<Tensor<B, 1>>,
    /// β `[hidden]`
    pub bias: Param<Tensor<B, 1>>,
    /// ε
    pub eps: f64,
}

impl<B: BertBackend> LayerNorm<B> {
    /// `LayerNorm(x)`.
    ///
    /// # Shapes
    /// `[rows, hidden] -> [rows, hidden]`
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let args = LayerNormArgs {
            eps: self.eps,
            dropout: Dropout::NONE,
        };
        tensor(B::bert_add_layer_norm(
            primitive(x),
            None,
            primitive(self.weight.val()),
            primitive(self.bias.val()),
            args,
        ))
    }
}
