//! Dropout masks as a hash of (seed, row, column): a backward step draws them again instead of keeping them, and no
//! thread's order matters.

use crate::data::random::derive;
use crate::ops::Dropout;

/// One use of dropout on the rows of a matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mask {
    seed: u64,
    /// An element is dropped where its hash is below this.
    threshold: u32,
    /// `1 / (1 - p)`.
    scale: f32,
}

impl Mask {
    /// `None` where nothing is dropped.
    pub(super) fn new(dropout: Dropout) -> Option<Self> {
        (dropout.probability > 0.0).then(|| Self {
            seed: dropout.seed,
            threshold: (dropout.probability * 4_294_967_296.0) as u32,
            scale: (1.0 / (1.0 - dropout.probability)) as f32,
        })
    }

    /// The mask of one row.
    pub(super) fn row(self, row: usize) -> RowMask {
        RowMask {
            key: derive(self.seed, "", &[row as u64]) as u32,
            threshold: self.threshold,
            scale: self.scale,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RowMask {
    key: u32,
    threshold: u32,
    scale: f32,
}

impl RowMask {
    /// What element `column` is multiplied with: 0 or `1 / (1 - p)`.
    #[inline(always)]
    pub(super) fn factor(self, column: usize) -> f32 {
        // "lowbias32", an integer hash in which every input bit flips every output bit with nearly even odds.
        let mut x = (column as u32).wrapping_mul(0x9e37_79b9) ^ self.key;
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        if x < self.threshold { 0.0 } else { self.scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_dropped_is_the_probability_in_every_direction() {
        let probability = 0.1;
        let mask = Mask::new(Dropout {
            probability,
            seed: 7,
        })
        .unwrap();
        let (rows, columns) = (400, 300);
        let dropped = |row: usize, column: usize| mask.row(row).factor(column) == 0.0;
        let mut total = 0;
        let mut neighbours = 0;
        for row in 0..rows {
            for column in 0..columns {
                let here = dropped(row, column);
                total += usize::from(here);
                neighbours += usize::from(here && dropped(row + 1, column));
                neighbours += usize::from(here && dropped(row, column + 1));
            }
        }
        // 120 000 draws: five standard deviations are 0.0043 of the whole.
        let share = total as f64 / (rows * columns) as f64;
        assert!((share - probability).abs() < 0.0043, "{share}");
        // Neighbours are dropped together as often as strangers are: p² each.
        let together = neighbours as f64 / (2 * rows * columns) as f64;
        assert!(
            (together - probability * probability).abs() < 0.001,
            "{together}"
        );
        assert!(Mask::new(Dropout::NONE).is_none());
    }
}
