//! Groups sequences under a token budget.

use std::ops::Range;

/// Cuts a list of lengths into runs of nearly equal sums within the budget, and as few of them as that allows; only a
/// length beyond it is a run by itself.
///
/// What does not fill a whole number of budgets is spread over all runs instead of making one small batch, whose
/// examples would weigh more than others in the mean. Lengths that are sorted give batches of like lengths, so that a
/// backend that pads inside attention wastes next to nothing.
pub fn group(lengths: &[usize], budget: usize) -> Vec<Range<usize>> {
    let fewest = fewest_runs(lengths, budget);
    let mut batches: Vec<Range<usize>> = Vec::with_capacity(fewest[0]);
    let mut remaining: usize = lengths.iter().sum();
    let mut first = 0;
    while first < lengths.len() {
        let after_this = fewest[0] - batches.len() - 1;
        let share = remaining.div_ceil(after_this + 1);
        let (mut end, mut sum) = (first, 0);
        while end < lengths.len() {
            let with_next = sum + lengths[end];
            // Nearer to an equal share of what is left with the next one than without it.
            let is_nearer = sum + with_next <= 2 * share;
            let is_needed = fewest[end] > after_this;
            if end > first && (with_next > budget || !(is_nearer || is_needed)) {
                break;
            }
            sum = with_next;
            end += 1;
        }
        batches.push(first..end);
        remaining -= sum;
        first = end;
    }
    batches
}

/// For every length, and for the end, how few runs within the budget hold it and all after it: those that are filled to the
/// brim.
fn fewest_runs(lengths: &[usize], budget: usize) -> Vec<usize> {
    let mut fewest = vec![0; lengths.len() + 1];
    let (mut end, mut sum) = (lengths.len(), 0);
    for first in (0..lengths.len()).rev() {
        sum += lengths[first];
        while sum > budget && end > first + 1 {
            end -= 1;
            sum -= lengths[end];
        }
        fewest[first] = 1 + fewest[end];
    }
    fewest
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::data::random::generator;

    fn sums(lengths: &[usize], batches: &[Range<usize>]) -> Vec<usize> {
        let sum = |range: &Range<usize>| lengths[range.clone()].iter().sum();
        batches.iter().map(sum).collect()
    }

    fn filled_to_the_brim(lengths: &[usize], budget: usize) -> usize {
        let (mut batches, mut sum) = (0, usize::MAX);
        for length in lengths {
            sum = match sum.saturating_add(*length) {
                more if more <= budget => more,
                _ => {
                    batches += 1;
                    *length
                }
            };
        }
        batches
    }

    #[test]
    fn there_are_as_few_batches_as_can_be_even_where_the_longest_fill_one_alone() {
        let mut random = generator(4, "test", &[]);
        for budget in [256, 300, 511] {
            let mut lengths: Vec<usize> = (0..5000)
                .map(|_| random.random_range(5..400usize).min(256))
                .collect();
            for _ in 0..2 {
                let batches = group(&lengths, budget);
                assert_eq!(batches.len(), filled_to_the_brim(&lengths, budget));
                let sums = sums(&lengths, &batches);
                assert!(sums.iter().all(|&sum| sum <= budget));
                lengths.sort_unstable();
            }
        }
    }

    #[test]
    fn equal_lengths_fill_the_budget_exactly() {
        let lengths = vec![128; 64];
        assert_eq!(sums(&lengths, &group(&lengths, 1024)), [1024; 8]);
    }

    #[test]
    fn a_remainder_is_spread_over_all_batches() {
        // 65 sequences, 8 to a batch: nine batches of 7 or 8, not eight of 8 and one of 1.
        let lengths = vec![128; 65];
        let sums = sums(&lengths, &group(&lengths, 1024));
        assert_eq!(sums.len(), 9);
        assert!(sums.iter().all(|&sum| sum == 7 * 128 || sum == 8 * 128));
    }

    #[test]
    fn batches_cover_everything_in_order_and_keep_the_budget() {
        let mut random = generator(1, "test", &[]);
        for round in 0..400 {
            let count = random.random_range(1..300);
            let budget = random.random_range(1..2000);
            let mut lengths: Vec<usize> = (0..count)
                .map(|_| match round % 2 {
                    0 => random.random_range(5..129),
                    _ => random.random_range(5..600usize).min(512),
                })
                .collect();
            lengths.sort_unstable();
            let batches = group(&lengths, budget);
            let mut next = 0;
            for batch in &batches {
                assert_eq!(batch.start, next);
                assert!(batch.end > batch.start);
                let sum: usize = lengths[batch.clone()].iter().sum();
                assert!(sum <= budget || batch.len() == 1);
                next = batch.end;
            }
            assert_eq!(next, count);
        }
    }

    #[test]
    fn batches_are_nearly_equal_and_nearly_as_few_as_can_be() {
        let mut random = generator(2, "test", &[]);
        for _ in 0..100 {
            let mut lengths: Vec<usize> = (0..1500).map(|_| random.random_range(9..129)).collect();
            lengths.sort_unstable();
            let batches = sums(&lengths, &group(&lengths, 4096));
            let total: usize = lengths.iter().sum();
            assert!(batches.len() <= total.div_ceil(4096) + 1);
            assert_eq!(batches.len(), filled_to_the_brim(&lengths, 4096));
            let mean = total as f64 / batches.len() as f64;
            for &sum in &batches {
                assert!((sum as f64 - mean).abs() < 160.0, "{sum} of mean {mean}");
            }
        }
    }

    #[test]
    fn nothing_gives_no_batch() {
        assert!(group(&[], 100).is_empty());
    }
}
