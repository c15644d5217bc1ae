//! Work cut into runs of rows: long enough to outweigh the start of a task, short enough to stay in a core's cache.

use rayon::prelude::*;

use super::math::vectorized;

/// Elements of one task's rows, 128 KiB of them.
const TASK_ELEMENTS: usize = 1 << 15;

/// Rows of a task. A function of the width alone: sums over tasks do not depend on the number of threads.
pub(super) fn rows_per_task(columns: usize) -> usize {
    (TASK_ELEMENTS / columns.max(1)).max(1)
}

/// `Σ_rows x`, `[columns]`.
pub(super) fn column_sums(x: &[f32], columns: usize) -> Vec<f32> {
    let partial = x
        .par_chunks(rows_per_task(columns) * columns)
        .map(|x| {
            let mut sums = vec![0.0; columns];
            vectorized(
                #[inline(always)]
                || {
                    for row in x.chunks_exact(columns) {
                        add(&mut sums, row);
                    }
                },
            );
            sums
        })
        .collect();
    total(partial, columns)
}

/// The sum of what tasks summed up each, in their order.
pub(super) fn total(partial: Vec<Vec<f32>>, columns: usize) -> Vec<f32> {
    let mut partial = partial.into_iter();
    let mut sums = partial.next().unwrap_or_else(|| vec![0.0; columns]);
    for more in partial {
        add(&mut sums, &more);
    }
    sums
}

#[inline(always)]
pub(super) fn add(sums: &mut [f32], x: &[f32]) {
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum += x;
    }
}
