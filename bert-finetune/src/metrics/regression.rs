//! Regression: every example has a gold number and a predicted number.

/// Gold and predicted numbers, kept because ranks need all of them at once.
#[derive(Debug, Clone, Default)]
pub struct Correlation {
    /// (gold, predicted).
    pairs: Vec<(f64, f64)>,
}

impl Correlation {
    /// No examples yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps one example.
    pub fn add(&mut self, gold: f64, predicted: f64) {
        self.pairs.push((gold, predicted));
    }

    /// How many examples were added.
    pub fn total(&self) -> u64 {
        self.pairs.len() as u64
    }

    /// Pearson's correlation coefficient in -1..1, as `scipy.stats.pearsonr`.
    ///
    /// 0 where gold or the predictions are all one value (scipy: NaN) and over fewer than two examples
    /// (scipy: an error). NaN where a value is NaN.
    pub fn pearson(&self) -> f64 {
        let (gold, predicted): (Vec<f64>, Vec<f64>) = self.pairs.iter().copied().unzip();
        pearson(&gold, &predicted)
    }

    /// Spearman's rank correlation in -1..1, as `scipy.stats.spearmanr`: Pearson's of the ranks, where
    /// equal values share the average of their ranks. 0 and NaN as in [`Correlation::pearson`].
    pub fn spearman(&self) -> f64 {
        let (gold, predicted): (Vec<f64>, Vec<f64>) = self.pairs.iter().copied().unzip();
        pearson(&ranks(&gold), &ranks(&predicted))
    }

    /// The mean squared error; 0 over no examples.
    pub fn mse(&self) -> f64 {
        self.mean(|gold, predicted| (predicted - gold) * (predicted - gold))
    }

    /// The mean absolute error; 0 over no examples.
    pub fn mae(&self) -> f64 {
        self.mean(|gold, predicted| (predicted - gold).abs())
    }

    fn mean(&self, error: impl Fn(f64, f64) -> f64) -> f64 {
        let errors: Vec<f64> = self
            .pairs
            .iter()
            .map(|&(gold, predicted)| error(gold, predicted))
            .collect();
        mean(&errors)
    }
}

/// Σ (x - x̄)(y - ȳ) / sqrt(Σ (x - x̄)² Σ (y - ȳ)²), and 0 where a side is constant or empty.
fn pearson(x: &[f64], y: &[f64]) -> f64 {
    if is_constant(x) || is_constant(y) {
        return 0.0;
    }
    let (mean_x, mean_y) = (mean(x), mean(y));
    let mut xy = 0.0;
    let mut xx = 0.0;
    let mut yy = 0.0;
    for (x, y) in x.iter().zip(y) {
        xy += (x - mean_x) * (y - mean_y);
        xx += (x - mean_x) * (x - mean_x);
        yy += (y - mean_y) * (y - mean_y);
    }
    let scale = xx.sqrt() * yy.sqrt();
    if scale == 0.0 {
        return 0.0; // the differences are too small to be squared
    }
    (xy / scale).clamp(-1.0, 1.0)
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

/// Whether all values are equal. The variance does not tell: a mean of equal values is rounded.
fn is_constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

/// The rank of every value, counted from 1; equal values get the average of theirs, and NaN stays NaN.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![f64::NAN; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let average = before as f64 + (tied.len() + 1) as f64 / 2.0;
        for &index in tied.iter().filter(|&&index| !values[index].is_nan()) {
            ranks[index] = average;
        }
        before += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::{Correlation, ranks};
    use crate::metrics::oracle::assert_close;

    #[derive(serde::Deserialize)]
    struct Case {
        gold: Vec<f64>,
        predicted: Vec<f64>,
        pearson: f64,
        spearman: f64,
        mse: f64,
        mae: f64,
    }

    fn correlation(gold: &[f64], predicted: &[f64]) -> Correlation {
        let mut correlation = Correlation::new();
        for (&gold, &predicted) in gold.iter().zip(predicted) {
            correlation.add(gold, predicted);
        }
        correlation
    }

    #[test]
    fn correlations_are_scipys_and_errors_scikit_learns() {
        let cases = include_str!("../../tests/metrics/regression.json");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
        for case in cases {
            let metric = correlation(&case.gold, &case.predicted);
            assert_eq!(metric.total(), case.gold.len() as u64);
            assert_close(metric.pearson(), case.pearson);
            assert_close(metric.spearman(), case.spearman);
            assert_close(metric.mse(), case.mse);
            assert_close(metric.mae(), case.mae);
        }
    }

    #[test]
    fn equal_values_share_the_average_of_their_ranks() {
        assert_eq!(
            ranks(&[2.0, 0.0, 2.0, -1.0, -0.0]),
            [4.5, 2.5, 4.5, 1.0, 2.5]
        );
    }

    #[test]
    fn a_constant_side_correlates_with_nothing() {
        // Three times 0.1 is not 0.3: the mean of these differs from each of them, by the same amount.
        for gold in [[1.0, 2.0, 3.0], [0.1, 0.1, 0.1]] {
            let constant = correlation(&gold, &[0.1, 0.1, 0.1]);
            assert_eq!(constant.pearson(), 0.0);
            assert_eq!(constant.spearman(), 0.0);
        }
    }

    #[test]
    fn spearman_sees_only_the_order() {
        let monotone = correlation(&[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0, 100.0, 1000.0]);
        assert_close(monotone.spearman(), 1.0);
        assert!(monotone.pearson() < 0.9);
    }

    #[test]
    fn a_nan_prediction_is_not_hidden() {
        let broken = correlation(&[1.0, 2.0, 3.0], &[1.0, f64::NAN, 3.0]);
        assert!(broken.pearson().is_nan());
        assert!(broken.spearman().is_nan());
        assert!(broken.mse().is_nan());
    }

    #[test]
    fn no_examples_score_zero() {
        let empty = Correlation::new();
        assert_eq!(
            [empty.pearson(), empty.spearman(), empty.mse(), empty.mae()],
            [0.0; 4]
        );
    }

    #[test]
    fn differences_too_small_to_square_correlate_with_nothing() {
        let tiny = correlation(&[0.0, 1e-300], &[0.0, 1e-300]);
        assert_eq!(tiny.pearson(), 0.0);
    }
}
