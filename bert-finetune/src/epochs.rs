//! The order of training: epochs of shuffled examples, in batches of like lengths.

use bert_core::data::batches::group;
use bert_core::data::random::generator;
use rand::seq::SliceRandom;

/// How many batches' worth of shuffled examples are sorted by length together: enough for batches of like lengths, few
/// enough that what an example shares a batch with stays random. It is the number of transformers' `group_by_length`.
const POOL_BATCHES: usize = 50;

/// How examples become batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Tokens of a batch at most; only an example longer than that is a batch by itself.
    pub batch_tokens: usize,
    /// Examples of a batch at most.
    pub batch_size: Option<usize>,
    /// Decides the order.
    pub seed: u64,
}

impl Batching {
    /// The batches of an epoch, as indices into `lengths`: every example once, a function of (seed, epoch).
    pub fn epoch(&self, lengths: &[usize], epoch: u64) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        let mut random = generator(self.seed, "epoch", &[epoch]);
        order.shuffle(&mut random);
        let pools = self.pools(&order, lengths).into_iter();
        let mut batches: Vec<Vec<usize>> =
            pools.flat_map(|pool| self.sorted(pool, lengths)).collect();
        batches.shuffle(&mut random);
        batches
    }

    /// All examples, shortest first, for evaluation.
    pub fn sorted(&self, examples: &[usize], lengths: &[usize]) -> Vec<Vec<usize>> {
        let mut examples = examples.to_vec();
        examples.sort_by_key(|&example| lengths[example]);
        let sorted: Vec<usize> = examples.iter().map(|&example| lengths[example]).collect();
        let size = self.batch_size.unwrap_or(usize::MAX).max(1);
        let within_size = examples.chunks(size).zip(sorted.chunks(size));
        let within_both = within_size.flat_map(|(examples, lengths)| {
            let runs = group(lengths, self.batch_tokens);
            runs.into_iter().map(|run| examples[run].to_vec())
        });
        within_both.collect()
    }

    /// Cuts the order into pools. By tokens they are of nearly one size: the rest of a division would be a small pool, with
    /// a batch of few examples, which would weigh more than others.
    fn pools<'a>(&self, order: &'a [usize], lengths: &[usize]) -> Vec<&'a [usize]> {
        match self.batch_size {
            // The size decides, whatever the tokens: batches of that many are what was asked for.
            Some(size) => order
                .chunks(size.saturating_mul(POOL_BATCHES).max(1))
                .collect(),
            None => {
                let lengths: Vec<usize> = order.iter().map(|&example| lengths[example]).collect();
                let runs = group(&lengths, self.batch_tokens.saturating_mul(POOL_BATCHES));
                runs.into_iter().map(|run| &order[run]).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> Vec<usize> {
        (0..997).map(|index| 3 + (index * index) % 61).collect()
    }

    #[test]
    fn an_epoch_has_every_example_once_within_the_budget_and_differs_from_the_next() {
        let batching = Batching {
            batch_tokens: 512,
            batch_size: None,
            seed: 5,
        };
        let lengths = lengths();
        let first = batching.epoch(&lengths, 0);
        for batch in &first {
            let tokens: usize = batch.iter().map(|&example| lengths[example]).sum();
            assert!(tokens <= 512);
        }
        let mut all = first.concat();
        all.sort_unstable();
        assert_eq!(all, (0..997).collect::<Vec<_>>());
        assert_eq!(first, batching.epoch(&lengths, 0));
        assert_ne!(first, batching.epoch(&lengths, 1));
    }

    #[test]
    fn one_example_too_many_for_a_pool_is_no_batch_by_itself() {
        let batching = Batching {
            batch_tokens: 2048,
            batch_size: None,
            seed: 1,
        };
        let batches = batching.epoch(&[128; 801], 0);
        let sizes = batches.iter().map(Vec::len);
        assert_eq!(batches.len(), 51);
        assert!(sizes.min() >= Some(15), "{batches:?}");
    }

    #[test]
    fn with_a_size_all_batches_but_one_have_it() {
        let batching = Batching {
            batch_tokens: 10_000,
            batch_size: Some(32),
            seed: 5,
        };
        let batches = batching.epoch(&lengths(), 0);
        let full = batches.iter().filter(|batch| batch.len() == 32).count();
        assert_eq!((full, batches.len()), (31, 32));
    }

    #[test]
    fn examples_of_a_batch_have_like_lengths() {
        let batching = Batching {
            batch_tokens: 600,
            batch_size: None,
            seed: 1,
        };
        let lengths = lengths();
        let of_batch = |batch: &Vec<usize>| {
            let longest = batch.iter().map(|&example| lengths[example]).max().unwrap();
            longest * batch.len()
        };
        let padded: usize = batching.epoch(&lengths, 3).iter().map(of_batch).sum();
        let tokens: usize = lengths.iter().sum();
        assert!(
            (padded as f64) < 1.1 * tokens as f64,
            "{padded} of {tokens}"
        );
    }
}
