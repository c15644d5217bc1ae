//! Drawing the splits of a labelled set so that no row is in two of them.

use std::collections::HashSet;
use std::hash::Hash;

use rand_chacha::ChaCha8Rng;

use crate::data::random::generator;

/// The training, validation and test rows of a labelled set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits<T> {
    /// For fine-tuning.
    pub train: Vec<T>,
    /// For choosing between runs.
    pub valid: Vec<T>,
    /// For reporting, once.
    pub test: Vec<T>,
}

impl<T> Splits<T> {
    /// The splits and the names of their files.
    pub fn named(&self) -> [(&'static str, &[T]); 3] {
        [
            ("train", &self.train),
            ("valid", &self.valid),
            ("test", &self.test),
        ]
    }

    /// Draws `sizes` rows a split. A row whose `key` was drawn before, in any split, is drawn again; `draw` is
    /// also told how many rows there are already, for labels that take turns.
    pub(super) fn draw<K: Hash + Eq>(
        seed: u64,
        purpose: &str,
        sizes: [usize; 3],
        mut draw: impl FnMut(usize, &mut ChaCha8Rng) -> Option<T>,
        key: impl Fn(&T) -> K,
    ) -> Self {
        let mut seen = HashSet::new();
        let mut attempt = 0;
        let mut split = |size: usize| {
            let mut rows = Vec::with_capacity(size);
            while rows.len() < size {
                let mut rng = generator(seed, purpose, &[attempt]);
                attempt += 1;
                if let Some(row) = draw(rows.len(), &mut rng)
                    && seen.insert(key(&row))
                {
                    rows.push(row);
                }
            }
            rows
        };
        let [train, valid, test] = sizes;
        Self {
            train: split(train),
            valid: split(valid),
            test: split(test),
        }
    }
}
