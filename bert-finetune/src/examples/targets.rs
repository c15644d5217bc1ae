//! What the head should say of an example.

use std::sync::Arc;

use bert_core::error::{ConfigProblem, Error, Result};

use crate::config::ClassWeights;

/// Targets in the shape of an example's scores. What is right is kept; the values, of which there may be thousands a row,
/// are made for a batch at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A class for each row.
    Classes {
        /// The right ones.
        right: Vec<u32>,
        /// What each class weighs.
        of: ClassTargets,
    },
    /// 1 at some places, 0 at the others.
    Ones {
        /// The places among the scores, row by row.
        places: Vec<usize>,
        /// How many scores there are.
        scores: usize,
        /// What the sum of the losses is divided by in a mean over the example alone.
        weight: f64,
    },
    /// A number.
    Number(f32),
}

impl Target {
    /// What the sum of the example's losses is divided by in a mean over it alone.
    pub fn weight(&self) -> f64 {
        match self {
            Self::Classes { right, of } => {
                right.iter().map(|&class| of.weights[class as usize]).sum()
            }
            Self::Ones { weight, .. } => *weight,
            Self::Number(_) => 1.0,
        }
    }

    /// The right class of each row, where one is right.
    pub fn classes(&self) -> &[u32] {
        match self {
            Self::Classes { right, .. } => right,
            Self::Ones { .. } | Self::Number(_) => &[],
        }
    }

    /// Appends a value for each score, row by row.
    pub fn append_to(&self, values: &mut Vec<f32>) {
        match self {
            Self::Classes { right, of } => {
                for &class in right {
                    of.append_to(values, class as usize);
                }
            }
            Self::Ones { places, scores, .. } => {
                let first = values.len();
                values.resize(first + scores, 0.0);
                for place in places {
                    values[first + place] = 1.0;
                }
            }
            Self::Number(number) => values.push(*number),
        }
    }

    /// A value for each score, row by row.
    pub fn values(&self) -> Vec<f32> {
        let mut values = Vec::new();
        self.append_to(&mut values);
        values
    }
}

/// How classes become targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// The share of a target that is spread over all classes.
    pub label_smoothing: f64,
    /// What each class weighs.
    pub weights: ClassWeights,
}

/// What each class of a task weighs, and the smoothing.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassTargets {
    weights: Arc<[f64]>,
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
            ClassWeights::Balanced => {
                let present = counts.iter().filter(|count| **count > 0).count() as f64;
                let balanced = |&count: &u64| match count {
                    0 => 1.0,
                    count => rows as f64 / (present * count as f64),
                };
                counts.iter().map(balanced).collect()
            }
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
            weights: weights.into(),
            smoothing: classes.label_smoothing,
        })
    }

    /// For so many classes, each of which weighs 1, without smoothing.
    pub fn plain(classes: usize) -> Self {
        Self {
            weights: vec![1.0; classes].into(),
            smoothing: 0.0,
        }
    }

    /// The target of rows of these classes.
    ///
    /// With weights `w` and smoothing `s`, class `c` of a row whose right class is `y` has
    /// `(1 - s) w_y [c = y] + s w_c / classes`, and the row weighs `w_y`, as in PyTorch's `CrossEntropyLoss`.
    pub fn of(&self, classes: impl IntoIterator<Item = usize>) -> Target {
        Target::Classes {
            right: classes.into_iter().map(|class| class as u32).collect(),
            of: self.clone(),
        }
    }

    fn append_to(&self, values: &mut Vec<f32>, right: usize) {
        let spread = self.smoothing / self.weights.len() as f64;
        let first = values.len();
        values.extend(self.weights.iter().map(|w| (spread * w) as f32));
        values[first + right] += ((1.0 - self.smoothing) * self.weights[right]) as f32;
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
        assert_eq!(*targets.weights, weights);
        let target = targets.of([2, 0]);
        assert_eq!(target.weight(), weights[2] + weights[0]);
        // A class that no row has is none of those that are balanced.
        let targets = ClassTargets::new(&classes, &names(), &[6, 0, 2]).unwrap();
        assert_eq!(*targets.weights, [8.0 / 12.0, 1.0, 2.0]);
        let target = targets.of([2, 0]);
        assert_eq!(target.classes(), [2, 0]);
    }

    #[test]
    fn smoothing_spreads_a_share_over_all_classes() {
        let classes = Classes {
            label_smoothing: 0.3,
            weights: ClassWeights::Named(vec![("b".into(), 2.0)]),
        };
        let targets = ClassTargets::new(&classes, &names(), &[1, 1, 1]).unwrap();
        let target = targets.of([1]);
        let values = target.values();
        for (value, expected) in values.iter().zip([0.1, 0.2 + 1.4, 0.1]) {
            assert!((value - expected).abs() < 1e-6, "{values:?}");
        }
        assert_eq!((values.len(), target.weight()), (3, 2.0));
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
}
