//! The two linear maps of the feed-forward network, and the add-and-norm that ends both halves of a layer.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Init, LayerNorm, Linear};
use crate::config::BertConfig;
use crate::ops::{Activation, BertBackend, DropoutKey, LayerNormArgs, primitive, tensor};

/// `activation(x W₁ + b₁)`.
#[derive(Module, Debug)]
pub struct Intermediate<B: Backend> {
    /// `[hidden, intermediate]`
    pub dense: Linear<B>,
    /// `hidden_act`
    #[module(skip)]
    pub activation: Activation,
}

impl<B: Backend> Intermediate<B> {
    /// With the sizes of `config`.
    pub fn new(config: &BertConfig, name: &str, init: &Init<'_, B>) -> Self {
        Self {
            dense: init.linear(
                &format!("{name}.dense"),
                config.hidden_size,
                config.intermediate_size,
            ),
            activation: config.hidden_act.into(),
        }
    }
}

/// `LayerNorm(residual + dropout(x W + b))`.
#[derive(Module, Debug)]
pub struct ResidualOutput<B: Backend> {
    /// `[in, hidden]`
    pub dense: Linear<B>,
    /// `LayerNorm` in checkpoints.
    pub layer_norm: LayerNorm<B>,
    hidden_dropout_prob: f64,
}

impl<B: Backend> ResidualOutput<B> {
    /// From `inputs` columns to `config.hidden_size`.
    pub fn new(config: &BertConfig, inputs: usize, name: &str, init: &Init<'_, B>) -> Self {
        Self {
            dense: init.linear(&format!("{name}.dense"), inputs, config.hidden_size),
            layer_norm: init.layer_norm(config.hidden_size, config.layer_norm_eps),
            hidden_dropout_prob: config.hidden_dropout_prob,
        }
    }
}

impl<B: BertBackend> ResidualOutput<B> {
    /// # Shapes
    /// x `[tokens, in]`, residual `[tokens, hidden]` -> `[tokens, hidden]`
    pub fn forward(
        &self,
        x: Tensor<B, 2>,
        residual: Tensor<B, 2>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let x = self.dense.forward(x, Activation::Identity);
        self.add_and_norm(x, residual, dropout)
    }

    /// `LayerNorm(residual + dropout(x))`, for a caller that has `x W + b` already.
    ///
    /// # Shapes
    /// `[tokens, hidden] -> [tokens, hidden]`
    pub fn add_and_norm(
        &self,
        x: Tensor<B, 2>,
        residual: Tensor<B, 2>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let args = LayerNormArgs {
            eps: self.layer_norm.eps,
            dropout: dropout.next(self.hidden_dropout_prob),
        };
        tensor(B::bert_add_layer_norm(
            primitive(x),
            Some(primitive(residual)),
            primitive(self.layer_norm.weight.val()),
            primitive(self.layer_norm.bias.val()),
            args,
        ))
    }
}
