//! An answer within a passage (Devlin et al. 2019, sections 4.2 and 4.3), with or without questions that have none.
//!
//! A passage that is longer than the model is read in windows; scores are compared across them as they are, and only
//! where a window shows most around the token that an answer begins with.

mod record;
mod scorer;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bert_core::error::Result;
use bert_core::train::MetricInfo;
use bert_core::weights::Head;
use serde_json::{Map, Value, json};

use super::encoder::Encoder;
use super::row::Input;
use super::windows::{has_most_context, passage_windows};
use super::{Answer, Scorer, Task, higher};
use crate::config::QuestionsConfig;
use crate::data::array::holds_rows;
use crate::data::characters::Characters;
use crate::data::input::{self, Records};
use crate::data::squad;
use crate::data::table::Row;
use crate::examples::{Example, Sequence, Target};
use crate::model::{HeadKind, LossKind};
use record::{Asked, Gold};
use scorer::QuestionScorer;

pub use record::Record;

/// Answering questions.
#[derive(Debug, Clone)]
pub struct QuestionTask {
    config: QuestionsConfig,
    /// Whether a question may have no answer.
    unanswerable: bool,
}

/// How a passage became windows.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Where each of its tokens stands in it, in characters; empty where it was given as ids.
    places: Vec<(usize, usize)>,
    /// Its tokens that each window shows.
    windows: Vec<Range<usize>>,
    /// How many tokens stand before the passage in a window.
    before: usize,
}

/// An answer that scores give.
#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    score: f32,
    window: usize,
    /// Its tokens in the passage, the last one included.
    tokens: (usize, usize),
}

impl QuestionTask {
    /// The best answers, best first, and the score of there being none.
    fn candidates(&self, passage: &Passage, scores: &[Vec<f32>]) -> (Vec<Candidate>, f32) {
        let mut candidates = Vec::new();
        let mut null = f32::INFINITY;
        for (window, scores) in scores.iter().enumerate() {
            let score = |token: usize, column: usize| scores[2 * token + column];
            null = null.min(score(0, 0) + score(0, 1));
            let shown = &passage.windows[window];
            let row = |token: usize| token - shown.start + passage.before;
            for first in shown.clone() {
                if !has_most_context(&passage.windows, window, first) {
                    continue;
                }
                let after = shown.end.min(first + self.config.max_answer_tokens);
                candidates.extend((first..after).map(|last| Candidate {
                    score: score(row(first), 0) + score(row(last), 1),
                    window,
                    tokens: (first, last),
                }));
            }
        }
        let better = |a: &Candidate, b: &Candidate| {
            b.score.total_cmp(&a.score).then(a.tokens.cmp(&b.tokens))
        };
        if candidates.len() > self.config.n_best {
            candidates.select_nth_unstable_by(self.config.n_best, better);
            candidates.truncate(self.config.n_best);
        }
        candidates.sort_by(better);
        (candidates, null)
    }

    /// How much more likely it is that there is no answer than that the best one is right, as a difference of scores.
    fn no_answer_score(best: Option<&Candidate>, null: f32) -> f64 {
        best.map_or(f64::MAX, |best| f64::from(null - best.score))
    }

    fn answers_nothing(&self, best: Option<&Candidate>, null: f32) -> bool {
        best.is_none()
            || (self.unanswerable && Self::no_answer_score(best, null) > self.config.null_threshold)
    }

    fn windows_of_text(
        &self,
        encoder: &Encoder,
        record: &Record,
        question: &str,
        context: &str,
    ) -> Result<(Vec<Example>, Passage)> {
        encoder.check_pairs(&record.origin)?;
        let tokenizer = &encoder.tokenizer;
        let special = tokenizer.special();
        let mut query = Vec::new();
        tokenizer.append_ids(question, &mut query)?;
        if query.len() > self.config.max_query_tokens {
            query.truncate(self.config.max_query_tokens);
            encoder.count_truncated();
        }
        let encoding = tokenizer.encode(context, None)?;
        let inner = 1..encoding.input_ids.len() - 1;
        let tokens = &encoding.input_ids[inner.clone()];
        let places = encoding.offsets[inner].to_vec();
        let room = encoder.max_tokens.saturating_sub(query.len() + 3);
        if tokens.is_empty() {
            let help = "mend the row, or have such rows skipped (data.bad_rows, --skip-bad-rows)";
            return Err(record.origin.error("the context has no token", help));
        }
        if room == 0 {
            let help = "shorten the question, or raise training.max_seq_length";
            return Err(record
                .origin
                .error("there is no room for the context", help));
        }
        let windows = passage_windows(tokens.len(), room, self.config.doc_stride);
        let span = match &record.gold {
            Some(Gold(answers)) => match answers.first() {
                Some(answer) => Some(Some(Self::tokens_of(answer, &places, record)?)),
                None => Some(None),
            },
            None => None,
        };
        let before = query.len() + 2;
        let examples = windows.iter().map(|window| {
            let mut input_ids = vec![special.cls];
            input_ids.extend_from_slice(&query);
            input_ids.push(special.sep);
            input_ids.extend_from_slice(&tokens[window.clone()]);
            input_ids.push(special.sep);
            let mut token_type_ids = vec![0; before];
            token_type_ids.resize(input_ids.len(), 1);
            let rows = input_ids.len();
            let target = span.map(|span| {
                // Where the window does not show all of the answer, it points to [CLS].
                let inside =
                    span.filter(|(first, last)| window.contains(first) && window.contains(last));
                let row = |token| token - window.start + before;
                let (first, last) = inside.map_or((0, 0), |(first, last)| (row(first), row(last)));
                Target::Ones {
                    places: vec![2 * first, 2 * last + 1],
                    scores: 2 * rows,
                    // The loss is the mean of both ends'.
                    weight: 2.0,
                }
            });
            Example {
                sequences: vec![Sequence {
                    input_ids,
                    token_type_ids,
                }],
                tokens: Vec::new(),
                rows,
                target,
            }
        });
        let examples = examples.collect();
        Ok((
            examples,
            Passage {
                places,
                windows,
                before,
            },
        ))
    }

    /// The first and the last token of an answer.
    fn tokens_of(
        answer: &squad::Answer,
        places: &[(usize, usize)],
        record: &Record,
    ) -> Result<(usize, usize)> {
        let (start, end) = answer.place();
        let within = |(from, to): &(usize, usize)| *to > start && *from < end;
        let first = places.iter().position(within);
        let last = places.iter().rposition(within);
        first.zip(last).ok_or_else(|| {
            let problem = format!("the answer \"{}\" has no token", answer.text);
            let help = "mend the row, or have such rows skipped (data.bad_rows, --skip-bad-rows)";
            record.origin.error(problem, help)
        })
    }
}

impl Task for QuestionTask {
    type Config = QuestionsConfig;
    type Record = Record;
    type Layout = Passage;

    /// The passage: a model that was trained on it knows more of it than of a new one.
    fn shared(record: &Record) -> Option<&str> {
        match &record.asked {
            Asked::Text { context, .. } => Some(context),
            Asked::Ids(_) => None,
        }
    }

    fn text_key(config: &QuestionsConfig) -> &str {
        &config.question
    }

    fn record(config: &QuestionsConfig, path: &Arc<Path>, row: &Row, gold: bool) -> Result<Record> {
        Record::of_row(config, path, row, gold)
    }

    fn read(config: &QuestionsConfig, path: &Path, gold: bool) -> Result<Records<Record>> {
        if bert_core::files::extension(path) == "json" && !holds_rows(path, &config.question)? {
            let at: Arc<Path> = path.into();
            let questions = squad::questions(path, gold)?.into_iter();
            return Ok(Box::new(questions.map(move |question| {
                let record = Record::of_squad(&at, question?, gold);
                if gold && record.gold.is_none() {
                    let help = "give answers, or is_impossible";
                    return Err(record.origin.error("the question has no answers", help));
                }
                Ok(record)
            })));
        }
        let rows = input::read(path, Self::text_key(config))?;
        Ok(Self::records(config, path, rows, gold))
    }

    fn learn(config: &QuestionsConfig, records: &[Record], _: &[String]) -> Result<Self> {
        let mut golds = records.iter().filter_map(|record| record.gold.as_ref());
        let without = golds.any(|Gold(answers)| answers.is_empty());
        Ok(Self {
            unanswerable: config.unanswerable.unwrap_or(without),
            config: config.clone(),
        })
    }

    fn of_head(config: &QuestionsConfig, _: &Head) -> Result<Self> {
        Ok(Self {
            unanswerable: config.unanswerable.unwrap_or(false),
            config: config.clone(),
        })
    }

    fn resolve(&self, config: &QuestionsConfig) -> QuestionsConfig {
        QuestionsConfig {
            unanswerable: Some(self.unanswerable),
            ..config.clone()
        }
    }

    fn head(&self) -> Head {
        Head::new(self.kind().architecture())
    }

    fn kind(&self) -> HeadKind {
        HeadKind::Questions
    }

    fn loss(&self) -> LossKind {
        LossKind::SpanCrossEntropy
    }

    fn outputs(&self) -> usize {
        2
    }

    fn encode(&self, encoder: &Encoder, record: &Record) -> Result<(Vec<Example>, Passage)> {
        let sequence = match &record.asked {
            Asked::Text { question, context } => {
                return self.windows_of_text(encoder, record, question, context);
            }
            Asked::Ids(sequence) => {
                encoder.sequence(&Input::Ids(sequence.clone()), &record.origin)?
            }
        };
        // The passage is the second segment without its [SEP]; of one segment, all between [CLS] and [SEP].
        let rows = sequence.input_ids.len();
        let second = sequence.token_type_ids.iter().position(|id| *id == 1);
        let before = second.unwrap_or(1).min(rows);
        let shown = rows.saturating_sub(before + 1);
        let example = Example {
            sequences: vec![sequence],
            tokens: Vec::new(),
            rows,
            target: None,
        };
        let passage = Passage {
            places: Vec::new(),
            windows: std::iter::once(0..shown).collect(),
            before,
        };
        Ok((vec![example], passage))
    }

    fn answer(&self, record: &Record, passage: &Passage, scores: &[Vec<f32>]) -> Answer {
        let (candidates, null) = self.candidates(passage, scores);
        let best = candidates.first();
        let mut all: Vec<f32> = candidates.iter().map(|candidate| candidate.score).collect();
        if self.unanswerable {
            all.push(null);
        }
        let probabilities = super::softmax(&all);
        let shown = |candidate: &Candidate, probability: f64| {
            let mut answer = place_of(record, passage, candidate);
            answer.insert("score".into(), json!(candidate.score));
            answer.insert("probability".into(), json!(probability));
            answer
        };
        let listed = candidates.iter().zip(&probabilities);
        let listed: Vec<Map<String, Value>> =
            listed.map(|(candidate, p)| shown(candidate, *p)).collect();

        let mut json = Map::new();
        if let Some(id) = &record.origin.id {
            json.insert("id".into(), id.clone());
        }
        let nothing = self.answers_nothing(best, null);
        let readable;
        if let (false, Some(answer)) = (nothing, listed.first()) {
            json.extend(answer.clone());
            let percent = 100.0 * probabilities[0];
            readable = match answer.get("answer").and_then(Value::as_str) {
                Some(text) => format!("{text} {percent:.2} %"),
                None => format!(
                    "tokens {} to {} {percent:.2} %",
                    answer["start_token"], answer["end_token"]
                ),
            };
        } else {
            json.insert("answer".into(), json!(""));
            json.insert("score".into(), json!(null));
            let probability = probabilities.last().filter(|_| self.unanswerable);
            json.insert("probability".into(), json!(probability));
            readable = "no answer".into();
        }
        json.insert(
            "no_answer_score".into(),
            json!(Self::no_answer_score(best, null)),
        );
        json.insert("n_best".into(), json!(listed));
        let window = best.map_or(0, |best| best.window);
        let logits: Vec<&[f32]> = scores[window].chunks(2).collect();
        json.insert("logits".into(), json!(logits));
        Answer { json, readable }
    }

    fn metrics(&self) -> Vec<MetricInfo> {
        ["f1", "exact_match"].map(higher).to_vec()
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(QuestionScorer {
            task: self.clone(),
            answered: Vec::new(),
        })
    }
}

/// Where an answer stands, and its text: the exact slice of the passage.
fn place_of(record: &Record, passage: &Passage, candidate: &Candidate) -> Map<String, Value> {
    let (first, last) = candidate.tokens;
    let mut answer = Map::new();
    match &record.asked {
        Asked::Text { context, .. } => {
            let (start, end) = (passage.places[first].0, passage.places[last].1);
            let text = Characters::new(context).slice((start, end)).to_string();
            answer.insert("answer".into(), text.into());
            answer.insert("start".into(), json!(start));
            answer.insert("end".into(), json!(end));
        }
        Asked::Ids(_) => {
            answer.insert("start_token".into(), json!(first + passage.before));
            answer.insert("end_token".into(), json!(last + passage.before));
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::super::encoder::tests::{encoder, origin};
    use super::*;

    fn task(unanswerable: bool) -> QuestionTask {
        let config = QuestionsConfig {
            question: "question".into(),
            context: "context".into(),
            answers: "answers".into(),
            doc_stride: 2,
            null_threshold: 0.5,
            max_answer_tokens: 2,
            max_query_tokens: 8,
            n_best: 3,
            unanswerable: None,
        };
        QuestionTask {
            config,
            unanswerable,
        }
    }

    /// A passage of four tokens in windows of three, two tokens of question before them.
    fn passage() -> Passage {
        Passage {
            places: vec![(0, 1), (1, 2), (2, 3), (3, 4)],
            windows: vec![0..3, 2..4],
            before: 2,
        }
    }

    /// Scores of a window: of its start tokens, then of its end tokens.
    fn window(starts: &[f32], ends: &[f32]) -> Vec<f32> {
        starts
            .iter()
            .zip(ends)
            .flat_map(|(s, e)| [*s, *e])
            .collect()
    }

    #[test]
    fn scores_are_compared_across_windows_and_the_null_score_is_the_least() {
        let first = window(
            &[1.0, 9.0, 0.0, 2.0, 0.0, 9.0],
            &[1.5, 9.0, 0.0, 0.0, 3.0, 9.0],
        );
        let second = window(&[0.5, 9.0, 0.0, 4.0, 9.0], &[0.25, 9.0, 0.0, 2.5, 9.0]);
        let (best, null) = task(true).candidates(&passage(), &[first, second]);
        assert_eq!(null, 0.75);
        // Token 3 alone, from the second window; tokens 1 to 2; question and [SEP] never.
        assert_eq!(
            (best[0].score, best[0].window, best[0].tokens),
            (6.5, 1, (3, 3))
        );
        assert_eq!(
            (best[1].score, best[1].window, best[1].tokens),
            (5.0, 0, (1, 2))
        );
        assert_eq!(best.len(), 3);
    }

    #[test]
    fn an_answer_is_no_longer_than_allowed_and_never_ends_before_it_begins() {
        let scores = window(
            &[0.0, 0.0, 5.0, 0.0, 1.0, 0.0],
            &[0.0, 0.0, 1.0, 0.0, 5.0, 0.0],
        );
        let passage = Passage {
            windows: std::iter::once(0..3).collect(),
            ..passage()
        };
        let (best, _) = task(false).candidates(&passage, &[scores]);
        // 0..2 would have 10, and has three tokens.
        assert_eq!((best[0].score, best[0].tokens), (6.0, (0, 0)));
    }

    #[test]
    fn nothing_is_the_answer_only_where_questions_may_have_none() {
        let best = Candidate {
            score: 1.0,
            window: 0,
            tokens: (0, 0),
        };
        assert!(task(true).answers_nothing(Some(&best), 1.75));
        assert!(!task(true).answers_nothing(Some(&best), 1.5));
        assert!(!task(false).answers_nothing(Some(&best), 9.0));
        assert!(task(false).answers_nothing(None, 0.0));
    }

    #[test]
    fn a_model_of_one_token_type_reads_no_passage() {
        let record = Record {
            origin: origin(),
            asked: Asked::Text {
                question: "who".into(),
                context: "the miller".into(),
            },
            gold: None,
        };
        assert!(task(false).encode(&encoder(20, 2), &record).is_ok());
        let error = task(false).encode(&encoder(20, 1), &record).unwrap_err();
        assert!(error.to_string().contains("type_vocab_size"), "{error}");
    }
}
