//! Groups sequences under a token budget.

use std::ops::Range;

/// Cuts a list of lengths into runs of nearly equal sums within the budget, and as few of them as that allows; only a
/// length beyond it is a run by itself.
///
/// What does not fill a whole number of budgets is spread over all runs instead of making one small batch, whose
/// examples would weigh more than others in the mean. Lengths that are sorted give batches of like lengths, so that a
/// backend that pads inside attention wastes next to nothing.
pub fn group(lengths: &[usize], budget: usize) -> Vec<Range<usize>> {
    // Filling every batch to the brim gives the fewest; one more is planned whenever evening out did not work with so few.
    let mut planned = spread(lengths, budget, 1).len();
    loop {
        let batches = spread(lengths, budget, planned);
        if batches.len() <= planned {
            return batches;
        }
        planned += 1;
    }
}

/// Cuts off, again and again, the run that comes closest to an equal share of what is left, within the budget.
/// May need more than the planned number of batches.
fn spread(lengths: &[usize], budget: usize, planned: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::with_capacity(planned);
    let mut remaining: usize = lengths.iter().sum();
    let mut first = 0;
    while first < lengths.len() {
        let share = remaining.div_ceil(planned.saturating_sub(batches.len()).max(1));
        let (mut end, mut sum) = (first, 0);
        while end < lengths.len() {
            let with_next = sum + lengths[end];
            // Nearer to the share with the next one than without it.
            let is_nearer = sum + with_next <= 2 * share;
            if end > first && (with_next > budget || !is_nearer) {
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

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::data::random::generator;

    fn sums(lengths: &[usize], batches: &[Range<usize>]) -> Vec<usize> {
        let sum = |range: &Range<usize>| lengths[range.clone()].iter().sum();
        batches.iter().map(sum).collect()
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
