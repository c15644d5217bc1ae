//! `e_t = word[id_t] + position[p_t] + token_type[s_t]` (Devlin et al. 2019, figure 2).
//!
//! Backward: each table's gradient row is the sum of the gradients of the tokens that used it.

use burn::tensor::Shape;
use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{Int, Tensor};

use super::{primitive, tensor};

/// The three ids of every token, `[tokens]` each: word, position, token type.
pub type EmbeddingIds<B> = [IntTensor<B>; 3];

/// `[tokens, hidden]`.
pub fn forward<B: Backend>(tables: [FloatTensor<B>; 3], ids: EmbeddingIds<B>) -> FloatTensor<B> {
    let [word, position, token_type] = tables;
    let [word_ids, position_ids, token_type_ids] = ids;
    let sum = B::float_add(
        B::float_select(word, 0, word_ids),
        B::float_select(position, 0, position_ids),
    );
    B::float_add(sum, B::float_select(token_type, 0, token_type_ids))
}

/// The gradients of the three tables, `[rows, hidden]` each.
pub fn backward<B: Backend>(
    grad: FloatTensor<B>,
    rows: [usize; 3],
    ids: EmbeddingIds<B>,
) -> [FloatTensor<B>; 3] {
    let grad: Tensor<B, 2> = tensor(grad);
    let [_, hidden] = grad.dims();
    let mut tables = rows.into_iter().zip(ids).map(|(rows, ids)| {
        let zeros = Tensor::<B, 2>::zeros(Shape::new([rows, hidden]), &grad.device());
        let ids = Tensor::<B, 1, Int>::from_primitive(ids);
        primitive(zeros.select_assign(0, ids, grad.clone(), burn::tensor::IndexingUpdateOp::Add))
    });
    std::array::from_fn(|_| tables.next().expect("three tables in, three gradients out"))
}
