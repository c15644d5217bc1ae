//! What measures classes, labels and numbers.

use serde_json::{Map, Value, json};

use super::{Gold, Record, SequenceTask};
use crate::metrics::confusion::Confusion;
use crate::metrics::multi_label::MultiLabel;
use crate::metrics::regression::Correlation;
use crate::tasks::{Report, Scorer, argmax};

/// With more classes their confusion matrix is left out: it grows with their square, and nobody looks at it.
const MOST_CONFUSED: usize = 256;

pub(super) struct ClassScorer {
    pub(super) task: SequenceTask,
    pub(super) confusion: Confusion,
}

impl Scorer<SequenceTask> for ClassScorer {
    fn add(&mut self, record: &Record, (): &(), scores: &[Vec<f32>]) {
        if let Some(Gold::Class(label)) = &record.gold
            && let Some(gold) = self.task.labels.get(label)
        {
            self.confusion.add(gold, argmax(&scores[0]));
        }
    }

    fn report(&self) -> Report {
        class_report(&self.confusion, self.task.labels.names())
    }
}

/// The metrics of a confusion matrix, and it.
pub(in crate::tasks) fn class_report(confusion: &Confusion, names: &[String]) -> Report {
    let named = names.iter().zip(confusion.per_class());
    let per_class: Map<String, Value> = named
        .map(|(name, scores)| (name.clone(), json!(scores)))
        .collect();
    let averages = json!({
        "macro": confusion.macro_average(),
        "weighted": confusion.weighted_average(),
        "micro": confusion.micro_average(),
    });
    let mut details = Map::new();
    details.insert("averages".into(), averages);
    details.insert("per_class".into(), per_class.into());
    details.insert("labels".into(), json!(names));
    if names.len() <= MOST_CONFUSED {
        details.insert("confusion".into(), json!(confusion.rows()));
    }
    Report {
        values: vec![
            ("accuracy", confusion.accuracy()),
            ("f1_macro", confusion.macro_average().f1),
            ("f1_weighted", confusion.weighted_average().f1),
            ("matthews", confusion.matthews()),
        ],
        details,
    }
}

pub(super) struct LabelScorer {
    pub(super) task: SequenceTask,
    pub(super) threshold: f64,
    pub(super) labels: MultiLabel,
}

impl Scorer<SequenceTask> for LabelScorer {
    fn add(&mut self, record: &Record, (): &(), scores: &[Vec<f32>]) {
        let Some(Gold::Labels(given)) = &record.gold else {
            return;
        };
        let names = self.task.labels.names().iter();
        let gold: Vec<bool> = names.map(|name| given.contains(name)).collect();
        let probabilities = self.task.probabilities(&scores[0]);
        let predicted = probabilities.iter().map(|p| *p >= self.threshold);
        self.labels.add(&gold, &predicted.collect::<Vec<_>>());
    }

    fn report(&self) -> Report {
        let names = self.task.labels.names();
        let named = names.iter().zip(self.labels.per_class());
        let per_label: Map<String, Value> = named
            .map(|(name, scores)| (name.clone(), json!(scores)))
            .collect();
        let mut details = Map::new();
        details.insert(
            "averages".into(),
            json!({
                "macro": self.labels.macro_average(),
                "weighted": self.labels.weighted_average(),
                "micro": self.labels.micro_average(),
            }),
        );
        details.insert("per_class".into(), per_label.into());
        Report {
            values: vec![
                ("f1_micro", self.labels.micro_average().f1),
                ("f1_macro", self.labels.macro_average().f1),
                ("subset_accuracy", self.labels.subset_accuracy()),
                ("hamming_loss", self.labels.hamming_loss()),
            ],
            details,
        }
    }
}

pub(super) struct NumberScorer {
    pub(super) numbers: Correlation,
}

impl Scorer<SequenceTask> for NumberScorer {
    fn add(&mut self, record: &Record, (): &(), scores: &[Vec<f32>]) {
        if let Some(Gold::Number(gold)) = record.gold {
            self.numbers.add(gold, f64::from(scores[0][0]));
        }
    }

    fn report(&self) -> Report {
        Report {
            values: vec![
                ("pearson", self.numbers.pearson()),
                ("spearman", self.numbers.spearman()),
                ("mse", self.numbers.mse()),
                ("mae", self.numbers.mae()),
            ],
            details: Map::new(),
        }
    }
}
