//! One of several answers (Devlin et al. 2019, section 4.4).
//!
//! Each choice makes a sequence of its own: `[CLS] question [SEP] choice [SEP]`, or with a context
//! `[CLS] context [SEP] question choice [SEP]`.

use std::path::Path;
use std::sync::Arc;

use bert_core::error::Result;
use bert_core::train::MetricInfo;
use bert_core::weights::Head;
use serde_json::{Map, Value, json};

use super::encoder::Encoder;
use super::row::{self, Input, Origin, not_empty};
use super::{Answer, Report, Scorer, Task, argmax, higher, softmax};
use crate::config::ChoiceConfig;
use crate::data::table::Row;
use crate::examples::{Example, Sequence, Target};
use crate::model::{HeadKind, LossKind};

/// Choosing an answer.
#[derive(Debug, Clone)]
pub struct ChoiceTask;

/// A question with its choices.
#[derive(Debug, Clone)]
pub struct Record {
    origin: Origin,
    asked: Asked,
    gold: Option<usize>,
}

#[derive(Debug, Clone)]
enum Asked {
    Texts {
        question: String,
        context: Option<String>,
        choices: Vec<String>,
    },
    /// A sequence for each choice.
    Ids(Vec<Input>),
}

/// A row with more choices is another kind of row: each of them is computed with the question and its context.
const MOST_CHOICES: usize = 1000;

impl Record {
    fn new(config: &ChoiceConfig, path: &Arc<Path>, row: &Row, gold: bool) -> Result<Self> {
        let ChoiceConfig {
            question,
            context,
            choices,
            label,
        } = config;
        let origin = Origin::of(path, row);
        let asked = if row.fields.has("input_ids") {
            Asked::Ids(ids(row, path)?)
        } else {
            let choices = texts(row, path, choices)?;
            let question = not_empty(row, path, question)?.to_string();
            let context = context.as_ref().map(|key| not_empty(row, path, key));
            Asked::Texts {
                question,
                context: context.transpose()?.map(str::to_string),
                choices,
            }
        };
        let count = asked.count();
        if !(2..=MOST_CHOICES).contains(&count) {
            let help = format!("give at least two, and at most {MOST_CHOICES}");
            return Err(origin.error(format!("{count} choice(s)"), help));
        }
        let value = row::gold(row, path, label, gold)?;
        let value = value.map(|value| {
            chosen(value, asked.choices())
                .filter(|&choice| choice < count)
                .ok_or_else(|| {
                    origin.error(
                        format!("\"{label}\" is {value}, which is none of the choices"),
                        "give the text of the right choice, its number, from 0, or its letter",
                    )
                })
        });
        Ok(Self {
            gold: value.transpose()?,
            origin,
            asked,
        })
    }
}

impl Asked {
    /// The texts of the choices; none where they are ids.
    fn choices(&self) -> &[String] {
        match self {
            Self::Texts { choices, .. } => choices,
            Self::Ids(_) => &[],
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Texts { choices, .. } => choices.len(),
            Self::Ids(sequences) => sequences.len(),
        }
    }

    /// The sequence of each choice.
    fn sequences(&self, encoder: &Encoder, origin: &Origin) -> Result<Vec<Sequence>> {
        match self {
            Self::Texts {
                question,
                context,
                choices,
            } => {
                let sequence = |choice: &String| match context {
                    Some(context) => {
                        encoder.text(context, Some(&format!("{question} {choice}")), origin)
                    }
                    None => encoder.text(question, Some(choice), origin),
                };
                choices.iter().map(sequence).collect()
            }
            Self::Ids(sequences) => {
                let sequences = sequences.iter();
                sequences.map(|ids| encoder.sequence(ids, origin)).collect()
            }
        }
    }
}

/// The choices: an array of texts, or the texts of several columns.
fn texts(row: &Row, path: &Arc<Path>, key: &str) -> Result<Vec<String>> {
    let Some(value) = row.fields.get(key) else {
        let columns = key.split(',').map(str::trim);
        let texts = columns.map(|column| not_empty(row, path, column).map(str::to_string));
        return texts.collect();
    };
    match row::array(value) {
        Some(values) => {
            let text = |value: &Value| match value {
                // As it stands: answers repeat it.
                Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
                Value::String(_) => None,
                value => row::label(value),
            };
            let texts: Option<Vec<String>> = values.iter().map(text).collect();
            texts.ok_or_else(|| {
                let problem = format!("\"{key}\" is not an array of texts, none of them empty");
                Origin::of(path, row).error(problem, "give a string for each choice")
            })
        }
        None => Err(Origin::of(path, row).error(
            format!("\"{key}\" is not an array"),
            "give an array of texts, or name the columns of the choices: \"choices\": \"a,b,c\"",
        )),
    }
}

/// Arrays of `input_ids`, one for each choice.
fn ids(row: &Row, path: &Arc<Path>) -> Result<Vec<Input>> {
    let list = |key: &str| row.fields.get(key).and_then(Value::as_array).cloned();
    let types = list("token_type_ids");
    let all = list("input_ids").unwrap_or_default();
    let one = |(index, ids): (usize, Value)| {
        let mut of_choice = Map::from_iter([("input_ids".to_string(), ids)]);
        if let Some(types) = types.as_ref().and_then(|types| types.get(index)) {
            of_choice.insert("token_type_ids".into(), types.clone());
        }
        let row = Row {
            line: row.line,
            fields: of_choice.into(),
        };
        row::input(&row, path, "", None)
    };
    all.into_iter().enumerate().map(one).collect()
}

/// Which choice a label means: a number of JSON by its number; a string by the text of a choice, then as a number, then as
/// a letter. The cells of a table are strings.
fn chosen(label: &Value, choices: &[String]) -> Option<usize> {
    if let Value::Number(number) = label {
        return usize::try_from(number.as_u64()?).ok();
    }
    let text = row::label(label)?;
    if let Some(place) = choices.iter().position(|choice| choice.trim() == text) {
        return Some(place);
    }
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    match text.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => {
            Some(usize::from(letter.to_ascii_uppercase() - b'A'))
        }
        _ => None,
    }
}

impl Task for ChoiceTask {
    type Config = ChoiceConfig;
    type Record = Record;
    type Layout = ();

    fn text_key(config: &ChoiceConfig) -> &str {
        &config.question
    }

    fn record(config: &ChoiceConfig, path: &Arc<Path>, row: &Row, gold: bool) -> Result<Record> {
        Record::new(config, path, row, gold)
    }

    fn learn(_: &ChoiceConfig, _: &[Record], _: &[String]) -> Result<Self> {
        Ok(Self)
    }

    fn of_head(_: &ChoiceConfig, _: &Head) -> Result<Self> {
        Ok(Self)
    }

    fn head(&self) -> Head {
        Head::new(self.kind().architecture())
    }

    fn kind(&self) -> HeadKind {
        HeadKind::Choice
    }

    fn loss(&self) -> LossKind {
        LossKind::ChoiceCrossEntropy
    }

    fn outputs(&self) -> usize {
        1
    }

    fn encode(&self, encoder: &Encoder, record: &Record) -> Result<(Vec<Example>, ())> {
        let sequences = record.asked.sequences(encoder, &record.origin)?;
        let rows = sequences.len();
        let target = record.gold.map(|gold| Target::Ones {
            places: vec![gold],
            scores: rows,
            weight: 1.0,
        });
        let example = Example {
            sequences,
            tokens: Vec::new(),
            rows,
            target,
        };
        Ok((vec![example], ()))
    }

    fn answer(&self, record: &Record, (): &(), scores: &[Vec<f32>]) -> Answer {
        let scores = &scores[0];
        let probabilities = softmax(scores);
        let best = argmax(scores);
        let mut json = Map::new();
        if let Some(id) = &record.origin.id {
            json.insert("id".into(), id.clone());
        }
        json.insert("choice".into(), json!(best));
        let text = record.asked.choices().get(best);
        if let Some(text) = text {
            json.insert("text".into(), json!(text));
        }
        json.insert("score".into(), json!(probabilities[best]));
        json.insert("probabilities".into(), json!(probabilities));
        json.insert("logits".into(), json!(scores));
        let text = text.map(|text| format!(" {text}")).unwrap_or_default();
        let readable = format!("{best}{text} {:.2} %", 100.0 * probabilities[best]);
        Answer { json, readable }
    }

    fn metrics(&self) -> Vec<MetricInfo> {
        vec![higher("accuracy")]
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(ChoiceScorer { right: 0, all: 0 })
    }
}

struct ChoiceScorer {
    right: u64,
    all: u64,
}

impl Scorer<ChoiceTask> for ChoiceScorer {
    fn add(&mut self, record: &Record, (): &(), scores: &[Vec<f32>]) {
        if let Some(gold) = record.gold {
            self.all += 1;
            self.right += u64::from(argmax(&scores[0]) == gold);
        }
    }

    fn report(&self) -> Report {
        Report {
            values: vec![("accuracy", self.right as f64 / self.all.max(1) as f64)],
            details: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_text_a_number_or_a_letter() {
        let choices = ["red", "B", "7 up"].map(String::from);
        let chosen = |value: Value| chosen(&value, &choices);
        assert_eq!(chosen(json!(2)), Some(2));
        assert_eq!(chosen(json!("2")), Some(2));
        assert_eq!(chosen(json!("red")), Some(0));
        assert_eq!(chosen(json!("c")), Some(2));
        // A text that is a choice is that choice before it is a letter.
        assert_eq!(chosen(json!("B")), Some(1));
        assert_eq!(chosen(json!("green")), None);
        assert_eq!(chosen(json!(1.5)), None);
    }

    #[test]
    fn a_label_that_is_the_text_of_a_choice_is_no_number_unless_json_says_so() {
        let choices = ["2", "3", "1"].map(String::from);
        assert_eq!(chosen(&json!("1"), &choices), Some(2));
        assert_eq!(chosen(&json!("0"), &choices), Some(0));
        assert_eq!(chosen(&json!(1), &choices), Some(1));
    }

    #[test]
    fn a_row_of_thousands_of_choices_is_refused() {
        let config = ChoiceConfig {
            question: "question".into(),
            context: None,
            choices: "choices".into(),
            label: "label".into(),
        };
        let path: Arc<Path> = Path::new("f.jsonl").into();
        let record = |choices: usize| {
            let row = json!({"question": "q", "choices": vec!["c"; choices], "label": 0});
            let Value::Object(fields) = row else {
                unreachable!("it is an object");
            };
            let row = Row {
                line: 3,
                fields: fields.into(),
            };
            Record::new(&config, &path, &row, true)
        };
        assert!(record(1000).is_ok());
        for choices in [1, 1001] {
            let error = record(choices).unwrap_err().to_string();
            assert_eq!(error, format!("f.jsonl:3: {choices} choice(s)"));
        }
    }
}
