//! Which rows are held out for validation, and which are trained on.

use std::collections::HashMap;
use std::hash::Hash;

use bert_core::data::random::generator;
use rand::seq::SliceRandom;

/// Which of `0..rows` are held out, ascending.
///
/// It depends on nothing but the arguments, and of a larger fraction the held-out rows include
/// those of a smaller one. `rows * valid_fraction` rows are held out, rounded, but at least one is, and one is not,
/// where there are two; a single row is trained on.
fn draw(rows: usize, valid_fraction: f64, seed: u64) -> Vec<usize> {
    let held_out = match rows {
        0 | 1 => 0,
        _ => ((rows as f64 * valid_fraction).round() as usize).clamp(1, rows - 1),
    };
    let mut valid: Vec<usize> = (0..rows).collect();
    valid.shuffle(&mut generator(seed, "split", &[]));
    valid.truncate(held_out);
    valid.sort_unstable();
    valid
}

/// `count` of `0..rows`, or all where there are no more, ascending. Of a larger count they include those of a smaller one.
pub fn choose(rows: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..rows).collect();
    chosen.shuffle(&mut generator(seed, "train rows", &[]));
    chosen.truncate(count);
    chosen.sort_unstable();
    chosen
}

/// The rows held out, ascending, where rows of the same key go together and rows without one go by themselves: the
/// fraction is that of the groups. Where all rows are of one group they are split all the same.
pub fn hold_out<K: Eq + Hash>(
    keys: impl Iterator<Item = Option<K>>,
    valid_fraction: f64,
    seed: u64,
) -> Vec<usize> {
    let mut numbers = HashMap::new();
    let mut count = 0;
    let mut next = || {
        count += 1;
        count - 1
    };
    let groups: Vec<usize> = keys
        .map(|key| match key {
            Some(key) => *numbers.entry(key).or_insert_with(&mut next),
            None => next(),
        })
        .collect();
    if count == 1 {
        return draw(groups.len(), valid_fraction, seed);
    }
    let held_out = draw(count, valid_fraction, seed);
    let is_held_out = |row: &usize| held_out.binary_search(&groups[*row]).is_ok();
    (0..groups.len()).filter(is_held_out).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_is_drawn_without_repetition_and_ascends() {
        let valid = draw(1000, 0.1, 7);
        assert_eq!(valid.len(), 100);
        assert!(valid.is_sorted_by(|a, b| a < b) && valid[99] < 1000);
    }

    #[test]
    fn of_more_rows_to_train_on_fewer_are_a_part() {
        let [few, many] = [10, 40].map(|count| choose(100, count, 5));
        assert_eq!((few.len(), many.len()), (10, 40));
        assert!(few.is_sorted_by(|a, b| a < b) && few.iter().all(|row| many.contains(row)));
        assert_ne!(few, choose(100, 10, 6));
        assert_eq!(choose(3, 10, 5), [0, 1, 2]);
    }

    #[test]
    fn the_seed_alone_decides() {
        assert_eq!(draw(100, 0.3, 1), draw(100, 0.3, 1));
        assert_ne!(draw(100, 0.3, 1), draw(100, 0.3, 2));
    }

    #[test]
    fn a_larger_fraction_holds_out_the_same_rows_and_more() {
        let few = draw(100, 0.1, 5);
        let many = draw(100, 0.4, 5);
        assert!(few.iter().all(|row| many.contains(row)));
    }

    #[test]
    fn rows_of_a_key_are_held_out_together_and_others_as_they_would_be_alone() {
        let alone = hold_out((0..100).map(|_| None::<u8>), 0.1, 3);
        assert_eq!(alone, draw(100, 0.1, 3));
        let key = |row: usize| (!row.is_multiple_of(4)).then_some(row / 10);
        let held_out = hold_out((0..100).map(key), 0.3, 3);
        assert!(!held_out.is_empty() && held_out.len() < 100);
        for row in (0..100_usize).filter(|row| !row.is_multiple_of(4)) {
            let others = (0..100).filter(|other| key(*other) == key(row));
            assert!(
                others
                    .into_iter()
                    .all(|other| held_out.contains(&other) == held_out.contains(&row))
            );
        }
        assert_eq!(hold_out((0..10).map(|_| Some(1)), 0.2, 3).len(), 2);
    }

    #[test]
    fn two_rows_or_more_leave_one_on_each_side_whatever_the_fraction() {
        for fraction in [-1.0, 0.0, 0.5, 1.0, 2.0, f64::NAN, f64::INFINITY] {
            for rows in 2..5 {
                let valid = draw(rows, fraction, 0).len();
                assert!((1..rows).contains(&valid), "{rows} {fraction}");
            }
        }
        assert!(draw(1, 0.9, 0).is_empty() && draw(0, 0.9, 0).is_empty());
    }

    #[test]
    fn every_row_is_held_out_about_equally_often() {
        let mut times = [0; 10];
        for seed in 0..10_000 {
            for row in draw(10, 0.3, seed) {
                times[row] += 1;
            }
        }
        assert!(
            times.iter().all(|times| (2800..3200).contains(times)),
            "{times:?}"
        );
    }
}
