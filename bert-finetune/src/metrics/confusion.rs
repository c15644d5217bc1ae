//! Single-label classification: every example has one gold class and one predicted class.
//!
//! Everything is computed from counts, so that an evaluation of any size streams.

use super::{Counts, Scores, ratio};

/// With more classes there is no matrix: it grows with their square, and nobody looks at it.
const MOST_CONFUSED: usize = 256;

/// How often each gold class was predicted as each class.
#[derive(Debug, Clone)]
pub struct Confusion {
    classes: Vec<Counts>,
    /// `rows[gold][predicted]`.
    rows: Option<Vec<Vec<u64>>>,
}

impl Confusion {
    /// Nothing yet, of `labels` classes.
    pub fn new(labels: usize) -> Self {
        Self {
            classes: vec![Counts::default(); labels],
            rows: (labels <= MOST_CONFUSED).then(|| vec![vec![0; labels]; labels]),
        }
    }

    /// Counts one example.
    ///
    /// # Panics
    ///
    /// Where a class is not below the number of labels, as indexing a slice does.
    pub fn add(&mut self, gold: usize, predicted: usize) {
        self.classes[gold].gold += 1;
        self.classes[predicted].predicted += 1;
        if gold == predicted {
            self.classes[gold].true_positives += 1;
        }
        if let Some(rows) = &mut self.rows {
            rows[gold][predicted] += 1;
        }
    }

    /// How many examples were counted.
    pub fn total(&self) -> u64 {
        self.classes.iter().map(|class| class.gold).sum()
    }

    /// The counts as `rows[gold][predicted]`, scikit-learn's `confusion_matrix`; none of more than 256 classes.
    pub fn rows(&self) -> Option<&[Vec<u64>]> {
        self.rows.as_deref()
    }

    /// The fraction of the examples predicted as their gold class; 0 over no examples.
    pub fn accuracy(&self) -> f64 {
        ratio(self.correct(), self.total())
    }

    /// The scores of every class, also of those that occur nowhere.
    pub fn per_class(&self) -> Vec<Scores> {
        self.classes.iter().copied().map(Counts::scores).collect()
    }

    /// The plain mean over the classes that occur in gold or in the predictions, which are those that
    /// scikit-learn's `f1_score(average="macro")` sees.
    pub fn macro_average(&self) -> Scores {
        let occurring: Vec<Scores> = self
            .classes
            .iter()
            .filter(|class| class.gold + class.predicted > 0)
            .map(|class| class.scores())
            .collect();
        Scores::macro_average(&occurring)
    }

    /// The mean over the classes weighted by their number of gold examples.
    pub fn weighted_average(&self) -> Scores {
        Scores::weighted_average(&self.per_class())
    }

    /// The scores of all classes' decisions together. With one label an example, all three are the accuracy.
    pub fn micro_average(&self) -> Scores {
        Counts::micro_average(&self.classes)
    }

    /// The Matthews correlation coefficient in -1..1, for any number of classes (R_K of Gorodkin, 2004).
    ///
    /// With n examples, c of them right, and g_k gold and p_k predicted examples of class k:
    /// (c n - Σ g_k p_k) / sqrt((n² - Σ p_k²) (n² - Σ g_k²)). Where that is undefined (gold or
    /// predictions are all one class) it is 0, as scikit-learn's `matthews_corrcoef`.
    pub fn matthews(&self) -> f64 {
        let mut gold_predicted = 0;
        let mut gold_gold = 0;
        let mut predicted_predicted = 0;
        for class in &self.classes {
            let (gold, predicted) = (i128::from(class.gold), i128::from(class.predicted));
            gold_predicted += gold * predicted;
            gold_gold += gold * gold;
            predicted_predicted += predicted * predicted;
        }
        let total = i128::from(self.total());
        let covariance = i128::from(self.correct()) * total - gold_predicted;
        let gold_variance = total * total - gold_gold;
        let predicted_variance = total * total - predicted_predicted;
        if gold_variance == 0 || predicted_variance == 0 {
            return 0.0;
        }
        covariance as f64 / (gold_variance as f64 * predicted_variance as f64).sqrt()
    }

    fn correct(&self) -> u64 {
        self.classes.iter().map(|class| class.true_positives).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Confusion;
    use crate::metrics::Scores;
    use crate::metrics::oracle::{ExpectedScores, assert_classes, assert_close, assert_scores};

    #[derive(serde::Deserialize)]
    struct Case {
        labels: usize,
        gold: Vec<usize>,
        predicted: Vec<usize>,
        rows: Vec<Vec<u64>>,
        accuracy: f64,
        per_class: Vec<ExpectedScores>,
        #[serde(rename = "macro")]
        macro_average: ExpectedScores,
        weighted: ExpectedScores,
        micro: ExpectedScores,
        matthews: f64,
    }

    fn confusion(labels: usize, pairs: &[(usize, usize)]) -> Confusion {
        let mut confusion = Confusion::new(labels);
        for &(gold, predicted) in pairs {
            confusion.add(gold, predicted);
        }
        confusion
    }

    #[test]
    fn every_score_is_scikit_learns() {
        let cases = include_str!("../../tests/metrics/classification.json");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
        for case in cases {
            let mut confusion = Confusion::new(case.labels);
            for (&gold, &predicted) in case.gold.iter().zip(&case.predicted) {
                confusion.add(gold, predicted);
            }
            assert_eq!(confusion.total(), case.gold.len() as u64);
            assert_eq!(confusion.rows(), Some(&*case.rows));
            assert_close(confusion.accuracy(), case.accuracy);
            assert_classes(&confusion.per_class(), &case.per_class);
            assert_scores(confusion.macro_average(), case.macro_average);
            assert_scores(confusion.weighted_average(), case.weighted);
            assert_scores(confusion.micro_average(), case.micro);
            assert_close(confusion.matthews(), case.matthews);
        }
    }

    #[test]
    fn macro_f1_counts_a_class_nobody_predicted_as_zero() {
        let confusion = confusion(2, &[(0, 0), (1, 0)]);
        assert_eq!(confusion.macro_average().f1, (2.0 / 3.0) / 2.0);
    }

    #[test]
    fn macro_f1_leaves_out_a_class_that_occurs_nowhere() {
        let two_of_three = confusion(3, &[(0, 0), (1, 1)]);
        assert_eq!(two_of_three.macro_average().f1, 1.0);
        assert_eq!(two_of_three.per_class()[2], Scores::default());
    }

    #[test]
    fn matthews_is_zero_where_all_predictions_are_one_class() {
        assert_eq!(confusion(2, &[(0, 1), (1, 1)]).matthews(), 0.0);
    }

    #[test]
    fn matthews_is_exact_for_more_examples_than_a_float_can_square() {
        let mut confusion = Confusion::new(2);
        for (class, count) in confusion
            .classes
            .iter_mut()
            .zip([3_000_000_000, 5_000_000_000])
        {
            (class.gold, class.predicted, class.true_positives) = (count, count, count);
        }
        assert_eq!(confusion.matthews(), 1.0);
    }

    #[test]
    fn no_examples_score_zero() {
        for empty in [Confusion::new(0), Confusion::new(3)] {
            assert_eq!(empty.total(), 0);
            assert_eq!(empty.accuracy(), 0.0);
            assert_eq!(empty.macro_average(), Scores::default());
            assert_eq!(empty.weighted_average(), Scores::default());
            assert_eq!(empty.micro_average(), Scores::default());
            assert_eq!(empty.matthews(), 0.0);
        }
    }
}
