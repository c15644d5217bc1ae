//! Comparison with the values that the references computed, for the tests of every metric.

use super::Scores;

/// Precision, recall, F1 and support as the fixtures hold them.
pub(super) type ExpectedScores = (f64, f64, f64, u64);

/// Fails unless the two agree to 1e-12, relative (absolute where a cancellation leaves almost 0).
#[track_caller]
pub(super) fn assert_close(actual: f64, expected: f64) {
    let tolerance = 1e-12 * expected.abs() + 1e-15;
    assert!(
        (actual - expected).abs() <= tolerance,
        "{actual} is not the oracle's {expected}"
    );
}

/// Fails unless all four scores are the oracle's.
#[track_caller]
pub(super) fn assert_scores(actual: Scores, (precision, recall, f1, support): ExpectedScores) {
    assert_close(actual.precision, precision);
    assert_close(actual.recall, recall);
    assert_close(actual.f1, f1);
    assert_eq!(actual.support, support);
}

/// Fails unless there are as many classes as expected, each with the oracle's scores.
#[track_caller]
pub(super) fn assert_classes(actual: &[Scores], expected: &[ExpectedScores]) {
    assert_eq!(actual.len(), expected.len());
    for (&actual, &expected) in actual.iter().zip(expected) {
        assert_scores(actual, expected);
    }
}
