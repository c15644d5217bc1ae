//! What measures answers.

use serde_json::{Map, Value};

use super::record::{Gold, Record};
use super::{Passage, QuestionTask, place_of};
use crate::metrics::squad::{Answered, SquadScores};
use crate::tasks::{Report, Scorer};

/// Answers to questions whose right ones are known.
pub(super) struct QuestionScorer {
    pub(super) task: QuestionTask,
    pub(super) answered: Vec<Answered>,
}

impl Scorer<QuestionTask> for QuestionScorer {
    fn add(&mut self, record: &Record, passage: &Passage, scores: &[Vec<f32>]) {
        let Some(Gold(answers)) = &record.gold else {
            return;
        };
        let (candidates, null) = self.task.candidates(passage, scores);
        let best = candidates.first();
        let text = best.map(|best| place_of(record, passage, best));
        let text = text.and_then(|place| Some(place.get("answer")?.as_str()?.to_string()));
        let best_answer = text.unwrap_or_default();
        self.answered.push(Answered {
            prediction: match self.task.answers_nothing(best, null) {
                true => String::new(),
                false => best_answer.clone(),
            },
            best_answer,
            golds: answers.iter().map(|answer| answer.text.clone()).collect(),
            no_answer_score: QuestionTask::no_answer_score(best, null),
        });
    }

    fn report(&self) -> Report {
        let scores = SquadScores::new(&self.answered);
        let details = match serde_json::to_value(&scores) {
            Ok(Value::Object(details)) => details,
            _ => Map::new(),
        };
        let of_report = |name: &&String| !["f1", "exact_match"].contains(&name.as_str());
        let details = details
            .iter()
            .filter(|(name, value)| of_report(name) && !value.is_null());
        Report {
            values: vec![("f1", scores.f1), ("exact_match", scores.exact_match)],
            details: details
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }

    fn remark(&self) -> Option<&'static str> {
        let without = self
            .answered
            .iter()
            .any(|question| question.golds.is_empty());
        (without && !self.task.unanswerable).then_some(
            "some questions have no answer, and this model always gives one: --set unanswerable=true lets it give none",
        )
    }
}
