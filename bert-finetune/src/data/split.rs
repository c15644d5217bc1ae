//! Which rows are held out for validation.

use std::collections::HashMap;
use std::hash::Hash;

use bert_core::data::random::generator;
use rand::seq::SliceRandom;

/// The rows to train on and the rows held out, each ascending; together they are all of `0..rows`.
///
/// It depends on nothing but the arguments, and of a larger fraction the held-out rows include
/// those of a smaller one. `rows * valid_fraction` rows are held out, rounded, but at least one on each
/// side where there are two; a single row is trained on.
fn split(rows: usize, valid_fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let held_out = match rows {
        0 | 1 => 0,
        _ => ((rows as f64 * valid_fraction).round() as usize).clamp(1, rows - 1),
    };
    let mut valid: Vec<usize> = (0..rows).collect();
    valid.shuffle(&mut generator(seed, "split", &[]));
    let mut train = valid.split_off(held_out);
    train.sort_unstable();
    valid.sort_unstable();
    (train, valid)
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
        return split(groups.len(), valid_fraction, seed).1;
    }
    let (_, held_out) = split(count, valid_fraction, seed);
    let is_held_out = |row: &usize| held_out.binary_search(&groups[*row]).is_ok();
    (0..groups.len()).filter(is_held_out).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_on_one_side_and_both_sides_ascend() {
        let (train, valid) = split(1000, 0.1, 7);
        assert_eq!((train.len(), valid.len()), (900, 100));
        assert!(train.is_sorted() && valid.is_sorted());
        let mut all = [train, valid].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
    }

    #[test]
    fn the_seed_alone_decides() {
        assert_eq!(split(100, 0.3, 1), split(100, 0.3, 1));
        assert_ne!(split(100, 0.3, 1), split(100, 0.3, 2));
    }

    #[test]
    fn a_larger_fraction_holds_out_the_same_rows_and_more() {
        let (_, few) = split(100, 0.1, 5);
        let (_, many) = split(100, 0.4, 5);
        assert!(few.iter().all(|row| many.contains(row)));
    }

    #[test]
    fn rows_of_a_key_are_held_out_together_and_others_as_they_would_be_alone() {
        let alone = hold_out((0..100).map(|_| None::<u8>), 0.1, 3);
        assert_eq!(alone, split(100, 0.1, 3).1);
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
                let (train, valid) = split(rows, fraction, 0);
                assert!(!train.is_empty() && !valid.is_empty(), "{rows} {fraction}");
            }
        }
        assert_eq!(split(1, 0.9, 0), (vec![0], vec![]));
        assert_eq!(split(0, 0.9, 0), (vec![], vec![]));
    }

    #[test]
    fn every_row_is_held_out_about_equally_often() {
        let mut times = [0; 10];
        for seed in 0..10_000 {
            for row in split(10, 0.3, seed).1 {
                times[row] += 1;
            }
        }
        assert!(
            times.iter().all(|times| (2800..3200).contains(times)),
            "{times:?}"
        );
    }
}
