//! What measures classes, labels and numbers.

use serde_json::{Map, Value, json};

use super::{Gold, Record, SequenceTask};
use crate::metrics::confusion::Confusion;
use crate::metrics::multi_label::MultiLabel;
use crate::metrics::regression::Correlation;
use crate::tasks::{Report, Scorer, argmax};

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
    if let Some(rows) = confusion.rows() {
        details.insert("confusion".into(), json!(rows));
    }
    let mut values = vec![
        ("accuracy", confusion.accuracy()),
        ("f1_macro", confusion.macro_average().f1),
        ("f1_weighted", confusion.weighted_average().f1),
        ("matthews", confusion.matthews()),
    ];
    if let [_, second] = confusion.per_class()[..] {
        values.push(("f1", second.f1));
    }
    Report { values, details }
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
        let labels = &self.task.labels;
        let mut gold = vec![false; labels.len()];
        for label in given.iter().filter_map(|label| labels.get(label)) {
            gold[label] = true;
        }
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
