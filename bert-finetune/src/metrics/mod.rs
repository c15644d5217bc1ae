//! What a fine-tuned model's answers are measured by, each metric as its field's reference computes it.
//!
//! | File | Measures | Reference |
//! | --- | --- | --- |
//! | [`confusion`] | one label an example: accuracy, F1, Matthews correlation | scikit-learn |
//! | [`multi_label`] | any number of labels an example: subset accuracy, Hamming loss, F1 | scikit-learn |
//! | [`regression`] | a number an example: Pearson and Spearman correlation, errors | scipy, scikit-learn |
//! | [`entities`] | spans of tagged words: entity-level F1 | conlleval, seqeval |
//! | [`squad`] | answers in a text: exact match and token F1 | SQuAD's evaluate-v1.1 and v2.0 |
//!
//! Fractions are in 0..1, except SQuAD's, which are percentages as its scripts print them. A ratio
//! over nothing is 0 (scikit-learn's `zero_division=0`), so that no result is NaN for want of data.
//! The tests compare with values that the references wrote; `tests/metrics/generate.py` runs them.

pub mod confusion;
pub mod entities;
pub mod multi_label;
pub mod regression;
pub mod squad;

#[cfg(test)]
mod oracle;

/// Precision, recall and F1 of one class, or an average of several classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Scores {
    /// The fraction of the predictions that are right: TP / (TP + FP).
    pub precision: f64,
    /// The fraction of the gold items that were found: TP / (TP + FN).
    pub recall: f64,
    /// The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).
    pub f1: f64,
    /// How many gold items there are.
    pub support: u64,
}

impl Scores {
    /// The scores of a class that was predicted `predicted` times, of which `true_positives` rightly,
    /// and that occurs `gold` times. A ratio over nothing is 0.
    pub fn from_counts(true_positives: u64, predicted: u64, gold: u64) -> Self {
        Self {
            precision: ratio(true_positives, predicted),
            recall: ratio(true_positives, gold),
            f1: ratio(2 * true_positives, predicted + gold),
            support: gold,
        }
    }

    /// The plain mean of several classes' scores, with their support summed; 0 over no classes.
    fn macro_average(classes: &[Self]) -> Self {
        Self::average(classes, |_| 1.0)
    }

    /// The mean of several classes' scores weighted by their support; 0 where there is no support.
    fn weighted_average(classes: &[Self]) -> Self {
        Self::average(classes, |class| class.support as f64)
    }

    fn average(classes: &[Self], weight: impl Fn(&Self) -> f64) -> Self {
        let mut sum = Self::default();
        let mut weights = 0.0;
        for class in classes {
            let weight = weight(class);
            weights += weight;
            sum.precision += weight * class.precision;
            sum.recall += weight * class.recall;
            sum.f1 += weight * class.f1;
            sum.support += class.support;
        }
        if weights > 0.0 {
            sum.precision /= weights;
            sum.recall /= weights;
            sum.f1 /= weights;
        }
        sum
    }
}

/// What the scores of one class are computed from.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    true_positives: u64,
    predicted: u64,
    gold: u64,
}

impl Counts {
    fn scores(self) -> Scores {
        Scores::from_counts(self.true_positives, self.predicted, self.gold)
    }

    /// The scores of all classes' decisions taken together (micro average).
    fn micro_average<'a>(classes: impl IntoIterator<Item = &'a Self>) -> Scores {
        let mut sum = Self::default();
        for class in classes {
            sum.true_positives += class.true_positives;
            sum.predicted += class.predicted;
            sum.gold += class.gold;
        }
        sum.scores()
    }
}

/// `part / whole`, and 0 where the whole is 0.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Scores;

    #[test]
    fn scores_of_counts_are_their_ratios() {
        let scores = Scores::from_counts(3, 4, 6);
        let expected = Scores {
            precision: 0.75,
            recall: 0.5,
            f1: 0.6,
            support: 6,
        };
        assert_eq!(scores, expected);
    }

    #[test]
    fn scores_over_nothing_are_zero() {
        assert_eq!(Scores::from_counts(0, 0, 0), Scores::default());
        assert_eq!(Scores::macro_average(&[]), Scores::default());
        assert_eq!(Scores::weighted_average(&[]), Scores::default());
        let without_support = [Scores::from_counts(0, 3, 0)];
        assert_eq!(
            Scores::weighted_average(&without_support),
            Scores::default()
        );
    }
}
