//! What measures tags.

use serde_json::{Map, json};

use super::TokenTask;
use super::record::{Places, Record};
use crate::metrics::confusion::Confusion;
use crate::metrics::entities::{EntityScores, spans};
use crate::tasks::sequence::class_report;
use crate::tasks::{Report, Scorer};

/// Entities and words.
pub(super) struct TagScorer {
    pub(super) task: TokenTask,
    pub(super) entities: EntityScores,
    pub(super) words: Confusion,
}

impl Scorer<TokenTask> for TagScorer {
    fn add(&mut self, record: &Record, _: &Places, scores: &[Vec<f32>]) {
        let Some(gold) = &record.gold else { return };
        let labels = &self.task.labels;
        let predicted: Vec<&str> = self.task.tags(scores).iter().map(|(tag, _)| *tag).collect();
        for (gold, predicted) in gold.iter().zip(&predicted) {
            if let (Some(gold), Some(predicted)) = (labels.get(gold), labels.get(predicted)) {
                self.words.add(gold, predicted);
            }
        }
        if let Some(style) = self.task.style {
            // Tags may be given by their numbers.
            let name = |number| labels.name(number);
            let gold = gold.iter();
            let gold: Vec<&str> = gold
                .map(|tag| labels.get(tag).and_then(name).unwrap_or(tag))
                .collect();
            let (gold, predicted) = (spans(&gold, style), spans(&predicted, style));
            self.entities.add(&gold, &predicted);
        }
    }

    fn report(&self) -> Report {
        let names = self.task.labels.names();
        let words = class_report(&self.words, names);
        if self.task.style.is_none() {
            let values = words.values.into_iter();
            let values = values.filter(|(name, _)| ["accuracy", "f1_macro"].contains(name));
            return Report {
                values: values.collect(),
                details: words.details,
            };
        }
        let overall = self.entities.overall();
        let mut details = Map::new();
        details.insert("entities".into(), json!(overall.support));
        details.insert("per_type".into(), json!(self.entities.per_type()));
        let averages = json!({
            "macro": self.entities.macro_average(),
            "weighted": self.entities.weighted_average(),
        });
        details.insert("averages".into(), averages);
        Report {
            values: vec![
                ("entity_f1", overall.f1),
                ("entity_precision", overall.precision),
                ("entity_recall", overall.recall),
                ("accuracy", self.words.accuracy()),
            ],
            details,
        }
    }
}
