//! The three embeddings, summed, normalised, dropped out.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{IndexingUpdateOp, Int, Shape, Tensor, TensorMetadata};

use super::layer_norm::{self, LayerNormSaved};
use crate::ops::{Dropout, EmbeddingIds, LayerNormArgs, primitive, tensor};

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct EmbedSaved<B: Backend> {
    /// The rows of each table.
    rows: [usize; 3],
    ids: EmbeddingIds<B>,
    norm: LayerNormSaved<B>,
    /// The scaled dropout mask of the result, where something was dropped.
    mask: Option<FloatTensor<B>>,
}

pub(super) fn forward<B: Backend>(
    tables: [FloatTensor<B>; 3],
    ids: EmbeddingIds<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    args: LayerNormArgs,
) -> (FloatTensor<B>, EmbedSaved<B>) {
    let rows = tables.each_ref().map(|table| table.shape()[0]);
    let [word, position, token_type] = tables;
    let [word_ids, position_ids, token_type_ids] = ids.clone();
    let sum = B::float_add(
        B::float_select(word, 0, word_ids),
        B::float_select(position, 0, position_ids),
    );
    let sum = B::float_add(sum, B::float_select(token_type, 0, token_type_ids));
    let undropped = LayerNormArgs {
        dropout: Dropout::NONE,
        ..args
    };
    let (y, norm) = layer_norm::forward::<B>(sum, None, gamma, beta, undropped);
    let y: Tensor<B, 2> = tensor(y);
    let mask = args.dropout.mask::<B, 2>(y.dims(), &y.device());
    let y = match &mask {
        Some(mask) => y * mask.clone(),
        None => y,
    };
    let saved = EmbedSaved {
        rows,
        ids,
        norm,
        mask: mask.map(primitive),
    };
    (primitive(y), saved)
}

pub(super) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    saved: EmbedSaved<B>,
) -> [FloatTensor<B>; 5] {
    let grad: Tensor<B, 2> = tensor(grad);
    let grad = match saved.mask {
        Some(mask) => grad * tensor(mask),
        None => grad,
    };
    let [d_sum, _, d_gamma, d_beta] = layer_norm::backward::<B>(primitive(grad), saved.norm);
    let d_sum: Tensor<B, 2> = tensor(d_sum);
    let [_, hidden] = d_sum.dims();
    let scatter = |rows, ids| {
        let zeros = Tensor::<B, 2>::zeros(Shape::new([rows, hidden]), &d_sum.device());
        let ids = Tensor::<B, 1, Int>::from_primitive(ids);
        primitive(zeros.select_assign(0, ids, d_sum.clone(), IndexingUpdateOp::Add))
    };
    let [words, positions, token_types] = saved.ids;
    [
        scatter(saved.rows[0], words),
        scatter(saved.rows[1], positions),
        scatter(saved.rows[2], token_types),
        d_gamma,
        d_beta,
    ]
}
