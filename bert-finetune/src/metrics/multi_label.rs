//! Multi-label classification: every example has any number of the labels, each decided on its own.

use super::{Counts, Scores, ratio};

/// Counts over examples whose gold and predicted labels are rows of yes and no.
#[derive(Debug, Clone)]
pub struct MultiLabel {
    labels: Vec<Counts>,
    rows: u64,
    exact_rows: u64,
    wrong_cells: u64,
}

impl MultiLabel {
    /// No examples yet, of `labels` labels.
    pub fn new(labels: usize) -> Self {
        Self {
            labels: vec![Counts::default(); labels],
            rows: 0,
            exact_rows: 0,
            wrong_cells: 0,
        }
    }

    /// Counts one example; both rows have one value for every label.
    pub fn add(&mut self, gold: &[bool], predicted: &[bool]) {
        debug_assert_eq!(gold.len(), self.labels.len());
        debug_assert_eq!(predicted.len(), self.labels.len());
        let mut wrong = 0;
        for ((label, &gold), &predicted) in self.labels.iter_mut().zip(gold).zip(predicted) {
            label.gold += u64::from(gold);
            label.predicted += u64::from(predicted);
            label.true_positives += u64::from(gold && predicted);
            wrong += u64::from(gold != predicted);
        }
        self.rows += 1;
        self.exact_rows += u64::from(wrong == 0);
        self.wrong_cells += wrong;
    }

    /// How many examples were counted.
    pub fn total(&self) -> u64 {
        self.rows
    }

    /// The fraction of the examples whose labels are all right (scikit-learn's `accuracy_score` of
    /// indicator matrices); 0 over no examples.
    pub fn subset_accuracy(&self) -> f64 {
        ratio(self.exact_rows, self.rows)
    }

    /// The fraction of the single yes-or-no decisions that are wrong; 0 over none.
    pub fn hamming_loss(&self) -> f64 {
        ratio(self.wrong_cells, self.rows * self.labels.len() as u64)
    }

    /// The scores of every label.
    pub fn per_class(&self) -> Vec<Scores> {
        self.labels.iter().map(|label| label.scores()).collect()
    }

    /// The plain mean over all labels. One that occurs nowhere counts as 0, as in scikit-learn's of
    /// indicator matrices.
    pub fn macro_average(&self) -> Scores {
        Scores::macro_average(&self.per_class())
    }

    /// The mean over the labels weighted by how many examples have each.
    pub fn weighted_average(&self) -> Scores {
        Scores::weighted_average(&self.per_class())
    }

    /// The scores of all labels' decisions together.
    pub fn micro_average(&self) -> Scores {
        Counts::micro_average(&self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::MultiLabel;
    use crate::metrics::Scores;
    use crate::metrics::oracle::{ExpectedScores, assert_classes, assert_close, assert_scores};

    #[derive(serde::Deserialize)]
    struct Case {
        gold: Vec<String>,
        predicted: Vec<String>,
        subset_accuracy: f64,
        hamming_loss: f64,
        per_class: Vec<ExpectedScores>,
        #[serde(rename = "macro")]
        macro_average: ExpectedScores,
        weighted: ExpectedScores,
        micro: ExpectedScores,
    }

    /// A row written as "0110".
    fn row(digits: &str) -> Vec<bool> {
        digits.chars().map(|digit| digit == '1').collect()
    }

    #[test]
    fn every_score_is_scikit_learns() {
        let cases = include_str!("../../tests/metrics/multi_label.json");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
        for case in cases {
            let mut metric = MultiLabel::new(case.per_class.len());
            for (gold, predicted) in case.gold.iter().zip(&case.predicted) {
                metric.add(&row(gold), &row(predicted));
            }
            assert_eq!(metric.total(), case.gold.len() as u64);
            assert_close(metric.subset_accuracy(), case.subset_accuracy);
            assert_close(metric.hamming_loss(), case.hamming_loss);
            assert_classes(&metric.per_class(), &case.per_class);
            assert_scores(metric.macro_average(), case.macro_average);
            assert_scores(metric.weighted_average(), case.weighted);
            assert_scores(metric.micro_average(), case.micro);
        }
    }

    #[test]
    fn macro_f1_counts_a_label_that_occurs_nowhere_as_zero() {
        let mut metric = MultiLabel::new(2);
        metric.add(&row("10"), &row("10"));
        assert_eq!(metric.macro_average().f1, 0.5);
        assert_eq!(metric.micro_average().f1, 1.0);
    }

    #[test]
    fn one_wrong_label_of_four_costs_the_whole_row_and_a_quarter_of_the_cells() {
        let mut metric = MultiLabel::new(4);
        metric.add(&row("1100"), &row("1101"));
        assert_eq!(metric.subset_accuracy(), 0.0);
        assert_eq!(metric.hamming_loss(), 0.25);
    }

    #[test]
    fn no_examples_score_zero() {
        for empty in [MultiLabel::new(0), MultiLabel::new(3)] {
            assert_eq!(empty.subset_accuracy(), 0.0);
            assert_eq!(empty.hamming_loss(), 0.0);
            assert_eq!(empty.macro_average(), Scores::default());
            assert_eq!(empty.weighted_average(), Scores::default());
            assert_eq!(empty.micro_average(), Scores::default());
        }
    }
}
