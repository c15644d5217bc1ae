//! A question as it stands in the data.

use std::path::Path;
use std::sync::Arc;

use bert_core::error::Result;
use serde_json::Value;

use crate::config::QuestionsConfig;
use crate::data::characters::Characters;
use crate::data::squad;
use crate::data::table::Row;
use crate::examples::Sequence;
use crate::tasks::row::{self, Input, Origin, not_empty};

/// A question about a passage.
#[derive(Debug, Clone)]
pub struct Record {
    pub(super) origin: Origin,
    pub(super) asked: Asked,
    pub(super) gold: Option<Gold>,
}

#[derive(Debug, Clone)]
pub(super) enum Asked {
    Text { question: String, context: Arc<str> },
    Ids(Sequence),
}

/// The right answers; none where the question has none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gold(pub(super) Vec<squad::Answer>);

impl Record {
    pub(super) fn of_squad(path: &Arc<Path>, question: squad::Question, gold: bool) -> Self {
        let known = !question.answers.is_empty() || question.is_impossible;
        Self {
            origin: Origin {
                path: path.clone(),
                line: Some(question.line),
                id: Some(question.id.into()),
            },
            asked: Asked::Text {
                question: question.question,
                context: question.context,
            },
            gold: (gold && known).then_some(Gold(question.answers)),
        }
    }

    /// A row with a question and a passage, and where the right answers are wanted these as the rows of the datasets library
    /// have them: `{"text": […], "answer_start": […]}`, or an array of `{"text", "answer_start"}`.
    pub(super) fn of_row(
        config: &QuestionsConfig,
        path: &Arc<Path>,
        row: &Row,
        gold: bool,
    ) -> Result<Self> {
        let origin = Origin::of(path, row);
        if row.fields.has("input_ids") {
            if gold {
                let help = "give question, context and answers";
                return Err(origin.error("a row of ids says no right answer", help));
            }
            let Input::Ids(sequence) = row::input(row, path, "", None)? else {
                unreachable!("a row of ids gives ids");
            };
            return Ok(Self {
                origin,
                asked: Asked::Ids(sequence),
                gold: None,
            });
        }
        let question = not_empty(row, path, &config.question)?.to_string();
        let context: Arc<str> = not_empty(row, path, &config.context)?.into();
        let value = row::gold(row, path, &config.answers, gold)?;
        let value = value.map(|value| {
            let answers = answers_of(value).ok_or_else(|| {
                origin.error(
                    "answers are not {\"text\": […], \"answer_start\": […]}",
                    "give both arrays, empty where the question has no answer",
                )
            })?;
            let characters = Characters::new(&context);
            for answer in &answers {
                let found = characters.slice(answer.place());
                if answer.text.is_empty() || found != answer.text {
                    return Err(origin.error(
                        format!(
                            "the answer \"{}\" is not at its offset {}, where the context has \"{found}\"",
                            answer.text, answer.start
                        ),
                        "mend answer_start, counted in characters, or have such rows skipped (data.bad_rows, --skip-bad-rows)",
                    ));
                }
            }
            Ok(Gold(answers))
        });
        Ok(Self {
            gold: value.transpose()?,
            origin,
            asked: Asked::Text { question, context },
        })
    }
}

fn answers_of(value: &Value) -> Option<Vec<squad::Answer>> {
    let answer = |text: &Value, start: &Value| {
        Some(squad::Answer {
            text: text.as_str()?.to_string(),
            start: usize::try_from(start.as_u64()?).ok()?,
        })
    };
    match value {
        Value::Array(answers) => {
            let answers = answers.iter();
            let answers = answers.map(|a| answer(a.get("text")?, a.get("answer_start")?));
            answers.collect()
        }
        Value::Object(columns) => {
            let texts = columns.get("text")?.as_array()?;
            let starts = columns.get("answer_start")?.as_array()?;
            let pairs = texts
                .iter()
                .zip(starts)
                .map(|(text, start)| answer(text, start));
            pairs
                .collect::<Option<Vec<_>>>()
                .filter(|answers| answers.len() == texts.len() && texts.len() == starts.len())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bert_core::config::from_value;
    use serde_json::{Map, json};

    use super::*;
    use crate::config::TaskConfig;

    #[test]
    fn an_answer_is_at_its_offset_however_large_that_is() {
        let path: Arc<Path> = Path::new("f.jsonl").into();
        let config = from_value("c", json!({"type": "question_answering"})).unwrap();
        let TaskConfig::Questions(config) = config else {
            unreachable!("as asked");
        };
        let record = |start: u64| {
            let answers = json!({"text": ["B"], "answer_start": [start]});
            let fields = [
                ("question", json!("q")),
                ("context", json!("é B")),
                ("answers", answers),
            ];
            let fields = fields.map(|(key, value)| (key.to_string(), value));
            let row = Row {
                line: 3,
                fields: Map::from_iter(fields).into(),
            };
            Record::of_row(&config, &path, &row, true)
        };
        assert!(record(2).is_ok());
        for start in [0, 3, 4, u64::MAX - 1, u64::MAX] {
            let error = record(start).unwrap_err().to_string();
            let expected = format!("f.jsonl:3: the answer \"B\" is not at its offset {start}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
