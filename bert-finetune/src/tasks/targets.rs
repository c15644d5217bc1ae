//! Classes as targets of the loss: one-hot, weighed, smoothed.

use bert_core::error::{ConfigProblem, Error, Result};

use crate::config::ClassWeights;
use crate::data::labels::Labels;
use crate::examples::Target;

/// Targets and the confusion matrix have a place for each label, or each two: of more labels than this the column is some
/// other one.
const MOST_LABELS: usize = 10_000;

/// Refuses labels that are too many to be labels.
///
/// # Errors
/// [`Error::Usage`], with the key that says where they stand.
pub fn not_too_many(labels: &Labels, key: &str) -> Result<()> {
    if labels.len() <= MOST_LABELS {
        return Ok(());
    }
    Err(Error::Usage {
        problem: format!(
            "the training data have {} different labels, more than {MOST_LABELS}",
            labels.len()
        ),
        help: format!("check {key}: it should name the column of the labels"),
    })
}

/// Refuses a head with fewer outputs than the task needs.
///
/// # Errors
/// [`Error::Usage`].
pub fn enough_outputs(labels: &Labels, least: usize) -> Result<()> {
    if labels.len() >= least {
        return Ok(());
    }
    Err(Error::Usage {
        problem: format!(
            "the model's classifier has {} named outputs, the task takes at least {least}",
            labels.len()
        ),
        help: "give a model that was fine-tuned for this task, or mend id2label in its config.json"
            .into(),
    })
}

/// How classes become targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// The share of a target that is spread over all classes.
    pub label_smoothing: f64,
    /// What each class weighs.
    pub weights: ClassWeights,
}

impl Classes {
    /// Every class alike, nothing smoothed: for evaluation.
    pub const PLAIN: Self = Self {
        label_smoothing: 0.0,
        weights: ClassWeights::Equal,
    };
}

/// What each class of a task weighs, and the smoothing.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassTargets {
    weights: Vec<f64>,
    smoothing: f64,
}

impl ClassTargets {
    /// For the named classes, of which training has so many rows each.
    ///
    /// # Errors
    /// [`Error::Config`] where a class is weighed that is not there.
    pub fn new(classes: &Classes, names: &[String], counts: &[u64]) -> Result<Self> {
        let rows: u64 = counts.iter().sum();
        let weights = match &classes.weights {
            ClassWeights::Equal => vec![1.0; names.len()],
            ClassWeights::Balanced => (counts.iter())
                .map(|&count| rows as f64 / (names.len() as f64 * count.max(1) as f64))
                .collect(),
            ClassWeights::Named(named) => {
                let mut weights = vec![1.0; names.len()];
                for (name, weight) in named {
                    let Some(class) = names.iter().position(|known| known == name) else {
                        return Err(Error::Config {
                            origin: "configuration".into(),
                            problems: vec![ConfigProblem {
                                key: "training.class_weights".into(),
                                problem: format!(
                                    "no row of the training data is \"{name}\", only {}",
                                    names.join(", ")
                                ),
                            }],
                        });
                    };
                    weights[class] = *weight;
                }
                weights
            }
        };
        Ok(Self {
            weights,
            smoothing: classes.label_smoothing,
        })
    }

    /// The target of rows of these classes.
    ///
    /// With weights `w` and smoothing `s`, class `c` of a row whose right class is `y` has
    /// `(1 - s) w_y [c = y] + s w_c / classes`, and the row weighs `w_y`, as in PyTorch's `CrossEntropyLoss`.
    pub fn of(&self, classes: impl IntoIterator<Item = usize>) -> Target {
        let count = self.weights.len();
        let mut target = Target {
            values: Vec::new(),
            weight: 0.0,
            classes: Vec::new(),
        };
        for right in classes {
            let spread = self.smoothing / count as f64;
            target
                .values
                .extend(self.weights.iter().map(|w| (spread * w) as f32));
            let own = target.values.len() - count + right;
            target.values[own] += ((1.0 - self.smoothing) * self.weights[right]) as f32;
            target.weight += self.weights[right];
            target.classes.push(right as u32);
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(String::from).to_vec()
    }

    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        // compute_class_weight("balanced") of [0] * 6 + [1] * 3 + [2] * 1
        let classes = Classes {
            label_smoothing: 0.0,
            weights: ClassWeights::Balanced,
        };
        let targets = ClassTargets::new(&classes, &names(), &[6, 3, 1]).unwrap();
        let weights = [10.0 / 18.0, 10.0 / 9.0, 10.0 / 3.0];
        assert_eq!(targets.weights, weights);
        let target = targets.of([2, 0]);
        assert_eq!(target.weight, weights[2] + weights[0]);
        assert_eq!(target.classes, [2, 0]);
    }

    #[test]
    fn smoothing_spreads_a_share_over_all_classes() {
        let classes = Classes {
            label_smoothing: 0.3,
            weights: ClassWeights::Named(vec![("b".into(), 2.0)]),
        };
        let targets = ClassTargets::new(&classes, &names(), &[1, 1, 1]).unwrap();
        let target = targets.of([1]);
        for (value, expected) in target.values.iter().zip([0.1, 0.2 + 1.4, 0.1]) {
            assert!((value - expected).abs() < 1e-6, "{:?}", target.values);
        }
        assert_eq!(target.weight, 2.0);
    }

    #[test]
    fn a_weight_of_a_class_that_is_not_there_is_refused_with_those_that_are() {
        let classes = Classes {
            label_smoothing: 0.0,
            weights: ClassWeights::Named(vec![("d".into(), 2.0)]),
        };
        let error = ClassTargets::new(&classes, &names(), &[1, 1, 1]).unwrap_err();
        assert!(error.to_string().contains("\"d\", only a, b, c"), "{error}");
    }

    #[test]
    fn as_many_labels_as_rows_are_refused_with_the_key_of_their_column() {
        let labels = |count: usize| {
            let names = (0..count).map(|label| label.to_string());
            Labels::from_names(names.collect()).unwrap()
        };
        assert!(not_too_many(&labels(10_000), "task.label").is_ok());
        let error = not_too_many(&labels(10_001), "task.label").unwrap_err();
        assert!(error.to_string().contains("10001 different"), "{error}");
        assert!(error.help().unwrap().contains("task.label"));
    }
}
