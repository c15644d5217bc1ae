//! How much there is to compute.

use bert_core::config::BertConfig;
use bert_core::train::TaskBatch;

use crate::task::PretrainingBatch;

/// The operations that the products of all batches take, two for a multiplication and its addition.
pub(super) struct Work {
    pub(super) infer: f64,
    pub(super) train: f64,
}

impl Work {
    pub(super) fn of(config: &BertConfig, batches: &[PretrainingBatch]) -> Self {
        let layers = config.num_hidden_layers as f64;
        let (hidden, intermediate) = (config.hidden_size as f64, config.intermediate_size as f64);
        let (projection, feed_forward) = (2.0 * hidden * hidden, 4.0 * hidden * intermediate);
        let (mut infer, mut train) = (0.0, 0.0);
        for batch in batches {
            let lengths = &batch.sequences().lengths;
            let labels = batch.labels();
            let tokens = batch.tokens() as f64;
            let masked = labels.masked_rows.len() as f64;
            let sequences = lengths.len() as f64;
            // What the last layer computes for the tokens that a head sees, and for the others.
            let seen = masked + sequences;
            let pairs: f64 = lengths.iter().map(|&length| (length * length) as f64).sum();
            let mut end = 0;
            let seen_pairs: f64 = (lengths.iter())
                .map(|&length| {
                    let rows = end..end + length;
                    end += length;
                    let masked = labels.masked_rows.iter().filter(|row| rows.contains(row));
                    ((masked.count() + 1) * length) as f64
                })
                .sum();
            let layer = tokens * (4.0 * projection + feed_forward) + 4.0 * hidden * pairs;
            let last = tokens * 2.0 * projection
                + seen * (2.0 * projection + feed_forward)
                + 4.0 * hidden * seen_pairs;
            let head = masked * (projection + 2.0 * hidden * config.vocab_size as f64)
                + sequences * projection;
            infer += layers * layer;
            train += 3.0 * ((layers - 1.0) * layer + last + head);
        }
        Self { infer, train }
    }
}
