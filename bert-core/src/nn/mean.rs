//! One vector for a sequence: the mean of its tokens.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::data::packed::Sequences;

/// The mean over the tokens of each sequence, special tokens included: what sentence-transformers calls mean pooling.
///
/// # Shapes
/// `[tokens, hidden] -> [sequences, hidden]`
///
/// # Reference
/// Reimers and Gurevych 2019, section 3.
pub fn mean_pooled<B: Backend>(
    hidden_states: Tensor<B, 2>,
    sequences: &Sequences<B>,
) -> Tensor<B, 2> {
    let [_, hidden] = hidden_states.dims();
    let device = hidden_states.device();
    let (count, width) = (sequences.count(), sequences.width());
    // 1 / length for the tokens of a sequence, 0 for the cells beyond its end.
    let weights: Vec<f32> = (sequences.lengths().iter())
        .flat_map(|&length| {
            (0..width).map(move |cell| match cell < length {
                true => 1.0 / length as f32,
                false => 0.0,
            })
        })
        .collect();
    let weights = Tensor::<B, 3>::from_data(TensorData::new(weights, [count, 1, width]), &device);
    // [tokens, hidden] -> [sequences, width, hidden]
    let cells = sequences.enter_rectangle(hidden_states);
    let cells = cells.reshape([count, width, hidden]);
    // [sequences, 1, width] x [sequences, width, hidden] -> [sequences, hidden]
    weights.matmul(cells).reshape([count, hidden])
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use burn_ndarray::NdArray;

    use super::*;

    #[test]
    fn every_sequence_has_the_mean_of_its_own_tokens() {
        let device = Default::default();
        for lengths in [&[5, 1, 11][..], &[3, 3], &[1], &[40, 2]] {
            let (tokens, hidden) = (lengths.iter().sum::<usize>(), 7);
            let values: Vec<f32> = (0..tokens * hidden)
                .map(|i| (i as f32 * 0.7).sin())
                .collect();
            let states = TensorData::new(values.clone(), [tokens, hidden]);
            let states = Tensor::<NdArray, 2>::from_data(states, &device);
            let pooled = mean_pooled(states, &Sequences::new(lengths, &device));
            assert_eq!(pooled.dims(), [lengths.len(), hidden]);
            let pooled: Vec<f32> = pooled.into_data().into_vec().unwrap();
            let mut start = 0;
            for (sequence, &length) in lengths.iter().enumerate() {
                for column in 0..hidden {
                    let mut sum = 0.0;
                    for token in start..start + length {
                        sum += values[token * hidden + column];
                    }
                    let found = pooled[sequence * hidden + column];
                    assert!((found - sum / length as f32).abs() < 1e-6);
                }
                start += length;
            }
        }
    }
}
