//! A tag for every word: names, parts of speech (Devlin et al. 2019, section 5.3).
//!
//! A word's first piece carries its tag. A sentence that is longer than the model is answered in windows, never cut.

mod record;
mod scorer;

use std::path::Path;
use std::sync::Arc;

use bert_core::error::{Error, Result};
use bert_core::tell;
use bert_core::train::MetricInfo;
use bert_core::weights::Head;
use serde_json::{Map, Value, json};

use super::encoder::Encoder;
use super::row::Input;
use super::windows::word_windows;
use super::{Answer, Scorer, Task, argmax, higher, softmax};
use crate::config::{Scheme, TokensConfig};
use crate::data::characters::Characters;
use crate::data::input::Records;
use crate::data::labels::Labels;
use crate::data::message::named;
use crate::data::table::Row;
use crate::examples::{ClassTargets, Classes, Example, Sequence};
use crate::metrics::confusion::Confusion;
use crate::metrics::entities::{EntityScores, Span, TagStyle, spans};
use crate::model::{HeadKind, LossKind};
use record::Words;
use scorer::TagScorer;

pub use record::{Places, Record};

/// Tagging words.
#[derive(Debug, Clone)]
pub struct TokenTask {
    labels: Arc<Labels>,
    targets: ClassTargets,
    /// How tags mark entities; `None` where they mark none.
    style: Option<TagStyle>,
}

/// The tag of words in no entity.
const OUTSIDE: &str = "O";

/// How tags of words in entities begin: IOB1, IOB2, IOBES, then BILOU's own names for E and S.
const PREFIXES: [&str; 6] = ["B-", "I-", "E-", "S-", "L-", "U-"];

fn is_bilou(tag: &str) -> bool {
    PREFIXES[4..].iter().any(|prefix| tag.starts_with(prefix))
}

fn tags_of(records: &[Record]) -> impl Iterator<Item = &str> {
    let tags = records
        .iter()
        .flat_map(|record| record.gold.iter().flatten());
    tags.map(String::as_str)
}

/// The tags that mark neither an entity nor that there is none.
fn without_mark(names: &[String]) -> Vec<String> {
    let marks = |name: &String| name == OUTSIDE || PREFIXES.iter().any(|p| name.starts_with(p));
    names.iter().filter(|name| !marks(name)).cloned().collect()
}

impl TokenTask {
    fn new(labels: Labels, scheme: Scheme) -> Self {
        let names = labels.names();
        let entities = match names.iter().any(|name| is_bilou(name)) {
            true => TagStyle::Bilou,
            false => TagStyle::Prefixed,
        };
        let style = match scheme {
            Scheme::Iob1 | Scheme::Iob2 | Scheme::Iobes => Some(entities),
            Scheme::Raw => Some(TagStyle::Raw),
            Scheme::Words => None,
            Scheme::Auto if 2 * without_mark(names).len() < names.len() => Some(entities),
            Scheme::Auto if names.iter().any(|name| name == OUTSIDE) => Some(TagStyle::Raw),
            Scheme::Auto => None,
        };
        Self {
            targets: ClassTargets::plain(labels.len()),
            labels: Arc::new(labels),
            style,
        }
    }

    /// Refuses to learn from tags most of which, but not all, mark entities: one that does not is a slip.
    fn check_marks(&self, scheme: Scheme) -> Result<()> {
        let odd = without_mark(self.labels.names());
        if scheme != Scheme::Auto || odd.is_empty() || self.style.is_none_or(|s| s == TagStyle::Raw)
        {
            return Ok(());
        }
        Err(Error::Usage {
            problem: format!("most tags mark entities as B-TYPE and I-TYPE do, but not {}", named(&odd)),
            help: "mend them, or set task.scheme: \"raw\" makes a type of every tag, \"words\" scores words alone"
                .into(),
        })
    }

    fn numbers_of(&self, tags: &[String], origin: &super::row::Origin) -> Result<Vec<usize>> {
        let number = |tag: &String| {
            self.labels.get(tag).ok_or_else(|| {
                let names = named(self.labels.names());
                origin.error(
                    format!("the tag \"{tag}\" is not one of the model's: {names}"),
                    "mend the row, or have such rows skipped (data.bad_rows, --skip-bad-rows)",
                )
            })
        };
        tags.iter().map(number).collect()
    }

    /// The highest label of every word, and its probability.
    fn tags(&self, scores: &[Vec<f32>]) -> Vec<(&str, f64)> {
        let rows = scores
            .iter()
            .flat_map(|window| window.chunks(self.outputs()));
        rows.map(|row| {
            let best = argmax(row);
            (self.labels.names()[best].as_str(), softmax(row)[best])
        })
        .collect()
    }
}

impl Task for TokenTask {
    type Config = TokensConfig;
    type Record = Record;
    type Layout = Places;

    fn text_key(config: &TokensConfig) -> &str {
        &config.text
    }

    fn record(config: &TokensConfig, path: &Arc<Path>, row: &Row, gold: bool) -> Result<Record> {
        Record::from_row(config, path, row, gold)
    }

    fn read(config: &TokensConfig, path: &Path, gold: bool) -> Result<Records<Record>> {
        record::read(config, path, gold)
    }

    fn learn(config: &TokensConfig, records: &[Record], known: &[String]) -> Result<Self> {
        let discovered = Labels::discover_tags(tags_of(records));
        let labels = Labels::of_data(config.label_names.as_deref(), discovered, known)?;
        if labels.len() < 2 {
            return Err(Error::Usage {
                problem: format!("the training data have {} different tags", labels.len()),
                help: "give data with at least two, or check task.tag_column".into(),
            });
        }
        labels.not_too_many("task.tag_column")?;
        if labels
            .names()
            .iter()
            .all(|name| name.parse::<u64>().is_ok())
        {
            tell!(
                "           the tags are numbers: words are scored, not entities, which take names such as B-PER (task.label_names)"
            );
        }
        let task = Self::new(labels, config.scheme);
        task.check_marks(config.scheme)?;
        Ok(task)
    }

    fn of_head(config: &TokensConfig, head: &Head) -> Result<Self> {
        let labels = Labels::of_head(config.label_names.as_deref(), &head.labels)?;
        labels.enough(1)?;
        Ok(Self::new(labels, config.scheme))
    }

    fn weighed(&self, classes: &Classes, records: &[Record]) -> Result<Self> {
        let counts = self.labels.count(tags_of(records));
        Ok(Self {
            targets: ClassTargets::new(classes, self.labels.names(), &counts)?,
            ..self.clone()
        })
    }

    fn resolve(&self, config: &TokensConfig) -> TokensConfig {
        TokensConfig {
            label_names: None,
            ..config.clone()
        }
    }

    fn head(&self) -> Head {
        Head {
            architecture: self.kind().architecture().into(),
            labels: self.labels.names().to_vec(),
            problem_type: None,
        }
    }

    fn kind(&self) -> HeadKind {
        HeadKind::Tokens
    }

    fn loss(&self) -> LossKind {
        LossKind::CrossEntropy
    }

    fn outputs(&self) -> usize {
        self.labels.len()
    }

    fn encode(&self, encoder: &Encoder, record: &Record) -> Result<(Vec<Example>, Places)> {
        if let Words::Ids(sequence) = &record.input {
            let input = Input::Ids(sequence.clone());
            let sequence = encoder.sequence(&input, &record.origin)?;
            let tokens: Vec<usize> = (0..sequence.input_ids.len()).collect();
            let example = Example {
                rows: tokens.len(),
                sequences: vec![sequence],
                tokens,
                target: None,
            };
            return Ok((vec![example], Places::default()));
        }
        let gold = record.gold.as_ref();
        let gold = gold.map(|tags| self.numbers_of(tags, &record.origin));
        let gold = gold.transpose()?;
        let (mut pieces, places) = record.pieces(encoder)?;
        let room = encoder.max_tokens.saturating_sub(2);
        if room == 0 {
            let help = "raise training.max_seq_length, or take a model of more positions";
            return Err(record.origin.error("there is no room for a word", help));
        }
        for pieces in &mut pieces {
            if pieces.len() > room {
                pieces.truncate(room);
                encoder.count_truncated();
            }
        }
        let counts: Vec<usize> = pieces.iter().map(Vec::len).collect();
        let special = encoder.tokenizer.special();
        let windows = word_windows(&counts, room);
        let examples = windows.into_iter().map(|window| {
            let mut input_ids = vec![special.cls];
            let mut tokens = Vec::new();
            for word in window.words {
                if window.decides.contains(&word) {
                    tokens.push(input_ids.len());
                }
                input_ids.extend_from_slice(&pieces[word]);
            }
            input_ids.push(special.sep);
            let sequence = Sequence {
                token_type_ids: vec![0; input_ids.len()],
                input_ids,
            };
            let decided = gold.as_ref().map(|gold| &gold[window.decides]);
            Example {
                sequences: vec![sequence],
                rows: tokens.len(),
                tokens,
                target: decided.map(|gold| self.targets.of(gold.iter().copied())),
            }
        });
        Ok((examples.collect(), places))
    }

    fn answer(&self, record: &Record, places: &Places, scores: &[Vec<f32>]) -> Answer {
        let tagged = self.tags(scores);
        let tags: Vec<&str> = tagged.iter().map(|(tag, _)| *tag).collect();
        let mut json = Map::new();
        if let Some(id) = &record.origin.id {
            json.insert("id".into(), id.clone());
        }
        let (words, characters) = match &record.input {
            Words::Given(words) => (words.clone(), None),
            Words::Of(text) => {
                let characters = Characters::new(text);
                let words = places.0.iter().map(|&place| characters.slice(place));
                (words.map(str::to_string).collect(), Some(characters))
            }
            Words::Ids(_) => (Vec::new(), None),
        };
        let found = match (&record.input, self.style) {
            (Words::Ids(_), _) | (_, None) => Vec::new(),
            (_, Some(style)) => spans(&tags, style),
        };
        let mut readable = Vec::new();
        let mut entities = Vec::new();
        for Span { kind, start, end } in found {
            let of_span = tagged[start..end].iter().map(|(_, p)| p);
            let score = of_span.sum::<f64>() / (end - start) as f64;
            let (text, place) = match &characters {
                Some(characters) => {
                    let (start, end) = (places.0[start].0, places.0[end - 1].1);
                    let text = characters.slice((start, end)).to_string();
                    (text, json!({"start": start, "end": end}))
                }
                None => {
                    let text = words[start..end].join(" ");
                    (text, json!({"start_word": start, "end_word": end}))
                }
            };
            readable.push(format!("{text} [{kind}]"));
            let mut entity = Map::from_iter([
                ("type".to_string(), json!(kind)),
                ("text".to_string(), json!(text)),
            ]);
            entity.extend(place.as_object().cloned().unwrap_or_default());
            entity.insert("score".into(), json!(score));
            entities.push(Value::Object(entity));
        }
        if !words.is_empty() {
            json.insert("words".into(), json!(words));
        }
        json.insert("tags".into(), json!(tags));
        if self.style.is_some() && !matches!(record.input, Words::Ids(_)) {
            json.insert("entities".into(), entities.into());
        } else {
            let words = words.iter().zip(&tags);
            readable = words.map(|(word, tag)| format!("{word}/{tag}")).collect();
        }
        let rows = scores
            .iter()
            .flat_map(|window| window.chunks(self.outputs()));
        json.insert("logits".into(), json!(rows.collect::<Vec<_>>()));
        let readable = match readable.is_empty() {
            true => "nothing found".into(),
            false => readable.join("  "),
        };
        Answer { json, readable }
    }

    fn metrics(&self) -> Vec<MetricInfo> {
        match self.style {
            Some(_) => ["entity_f1", "entity_precision", "entity_recall", "accuracy"]
                .map(higher)
                .to_vec(),
            None => ["accuracy", "f1_macro"].map(higher).to_vec(),
        }
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(TagScorer {
            task: self.clone(),
            entities: EntityScores::new(),
            words: Confusion::new(self.outputs()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoder::tests::{encoder, origin};
    use super::*;

    fn config(scheme: Scheme) -> TokensConfig {
        TokensConfig {
            text: "text".into(),
            label_names: None,
            scheme,
            word_column: 0,
            tag_column: None,
            words: "tokens".into(),
            tags: "tags".into(),
        }
    }

    fn task_as(scheme: Scheme, labels: &[&str]) -> Result<TokenTask> {
        let mut head = Head::new("BertForTokenClassification");
        head.labels = labels.iter().map(|label| label.to_string()).collect();
        TokenTask::of_head(&config(scheme), &head)
    }

    fn task(labels: &[&str]) -> Result<TokenTask> {
        task_as(Scheme::Auto, labels)
    }

    #[test]
    fn a_sequence_has_room_for_a_word_beside_the_special_tokens() {
        let record = Record {
            origin: origin(),
            input: Words::Given(vec!["a".into(), "mill".into()]),
            gold: None,
        };
        let task = task(&["O", "B-X"]).unwrap();
        let (examples, _) = task.encode(&encoder(3, 1), &record).unwrap();
        assert!(examples.iter().all(|example| example.length() == 3));
        let error = task.encode(&encoder(2, 1), &record).unwrap_err();
        assert!(error.to_string().contains("no room for a word"), "{error}");
    }

    #[test]
    fn tags_say_how_they_mark_entities() {
        let style = |labels| task(labels).unwrap().style;
        assert_eq!(style(&["O", "B-X", "I-X"]), Some(TagStyle::Prefixed));
        assert_eq!(style(&["O", "B-X", "L-X", "U-X"]), Some(TagStyle::Bilou));
        assert_eq!(style(&["O", "PER", "LOC"]), Some(TagStyle::Raw));
        assert_eq!(style(&["NOUN", "VERB"]), None);
        let named = task_as(Scheme::Iob2, &["O", "B-X", "L-X", "U-X"]);
        assert_eq!(named.unwrap().style, Some(TagStyle::Bilou));
        // What was learnt elsewhere is answered, what would be learnt is refused.
        assert_eq!(style(&["O", "B-X", "I-X", "0"]), Some(TagStyle::Prefixed));
        let record = Record {
            origin: origin(),
            input: Words::Given(vec!["a".into(); 4]),
            gold: Some(["O", "B-X", "I-X", "0"].map(String::from).to_vec()),
        };
        let learnt = TokenTask::learn(&config(Scheme::Auto), &[record], &[]);
        let error = learnt.unwrap_err().to_string();
        assert!(error.contains("but not 0"), "{error}");
        let tags = ["B-X", "L-X", "U-X", "O"];
        let found = spans(&tags, TagStyle::Bilou);
        let places: Vec<_> = found.iter().map(|span| (span.start, span.end)).collect();
        assert_eq!(places, [(0, 2), (2, 3)]);
    }

    #[test]
    fn a_table_of_arrays_is_told_from_words_in_columns_by_its_header() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.tsv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let records = record::read(&config(Scheme::Auto), &path, true).unwrap();
            let gold = records.map(|record| record.unwrap().gold.unwrap());
            gold.collect::<Vec<_>>()
        };
        let expected = [["B-ORG", "O"]];
        let arrays = "tokens\ttags\n['EU', 'rejects']\t['B-ORG', 'O']\n";
        assert_eq!(read(arrays), expected);
        assert_eq!(read("EU\tB-ORG\nrejects\tO\n"), expected);
    }

    #[test]
    fn a_head_without_outputs_is_refused() {
        let error = task(&[]).unwrap_err().to_string();
        assert!(error.contains("0 named outputs"), "{error}");
    }
}
