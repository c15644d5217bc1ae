//! Label names and their numbers.

use std::collections::{BTreeSet, HashMap};

use bert_core::error::{Error, Result};

use super::message::{nearest, quoted};

/// Of more labels than this the column is some other one.
const MOST_LABELS: usize = 10_000;

/// Bytes that names and numbers of labels may take in a model's `config.json`, which is refused where it has 2 MiB.
const MOST_BYTES: usize = 3 << 19;

/// The prefixes of tags, in the order in which a span uses them.
const TAG_PREFIXES: [&str; 4] = ["B", "I", "E", "S"];

/// The names of labels in the order of their numbers, no name twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    index: HashMap<String, usize>,
    /// Whether a number that is no name is that of a label.
    numbers_count: bool,
}

impl Labels {
    /// The labels among these, in an order that does not depend on theirs: by value where all are whole
    /// numbers, otherwise by bytes.
    pub fn discover<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = labels.into_iter().collect();
        let numbers: Option<Vec<(i128, &str)>> = names
            .iter()
            .map(|name| Some((name.parse().ok()?, *name)))
            .collect();
        match numbers {
            Some(mut numbers) => {
                numbers.sort_unstable();
                Self::numbered(numbers.into_iter().map(|(_, name)| name.to_owned()))
            }
            None => Self::numbered(names.into_iter().map(str::to_owned)),
        }
    }

    /// The tags among these: `O` first, then by type, and for each type B, I, E, S. A tag without
    /// such a prefix is its own type. Where all are whole numbers, by value.
    pub fn discover_tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = tags.into_iter().collect();
        if names.iter().all(|name| name.parse::<i128>().is_ok()) {
            return Self::discover(names);
        }
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_by_key(|name| (*name != "O", tag_order(name)));
        Self::numbered(names.into_iter().map(str::to_owned))
    }

    /// Labels with these names, numbered in this order.
    ///
    /// # Errors
    ///
    /// What is wrong, where a name comes twice.
    fn from_names(names: Vec<String>) -> std::result::Result<Self, String> {
        let labels = Self::numbered(names);
        for (number, name) in labels.names.iter().enumerate() {
            if let Some(last) = labels.get(name)
                && last != number
            {
                let name = quoted(name);
                return Err(format!("labels {number} and {last} are both {name}"));
            }
        }
        Ok(labels)
    }

    fn numbered(names: impl IntoIterator<Item = String>) -> Self {
        let names: Vec<String> = names.into_iter().collect();
        let index = names.iter().cloned().zip(0..).collect();
        Self {
            names,
            index,
            numbers_count: false,
        }
    }

    /// The labels of training data: those that a configuration gives, which data may name by their numbers, or else the
    /// discovered ones, in the order of the `known` names where these are the same.
    ///
    /// # Errors
    /// [`Error::Usage`], where a given name comes twice.
    pub fn of_data(given: Option<&[String]>, discovered: Self, known: &[String]) -> Result<Self> {
        match given {
            Some(names) => Self::named(names, "task.label_names", "give each name once"),
            None => Ok(discovered.in_order_of(known)),
        }
    }

    /// The labels of a model's head, which a configuration may name otherwise; data may name them by their numbers.
    ///
    /// # Errors
    /// [`Error::Usage`], where a name comes twice, or there are not as many as the head has.
    pub fn of_head(given: Option<&[String]>, head: &[String]) -> Result<Self> {
        match given {
            None => Self::named(
                head,
                "the model's labels",
                "mend id2label in its config.json",
            ),
            Some(names) if names.len() == head.len() => {
                Self::named(names, "task.label_names", "give each name once")
            }
            Some(names) => Err(Error::Usage {
                problem: format!(
                    "task.label_names has {} names, the model has {} outputs",
                    names.len(),
                    head.len()
                ),
                help: "give as many, or leave task.label_names out".into(),
            }),
        }
    }

    fn named(names: &[String], what: &str, help: &str) -> Result<Self> {
        let labels = Self::from_names(names.to_vec()).map_err(|problem| Error::Usage {
            problem: format!("{what}: {problem}"),
            help: help.into(),
        })?;
        Ok(labels.or_numbers())
    }

    /// With numbers for names, as data sets write classes, where no name is a number itself.
    fn or_numbers(mut self) -> Self {
        self.numbers_count = self.names.iter().all(|name| name.parse::<f64>().is_err());
        self
    }

    /// In the order of the known names, where these are the same.
    fn in_order_of(self, known: &[String]) -> Self {
        let same = known.len() == self.len() && known.iter().all(|name| self.get(name).is_some());
        match Self::from_names(known.to_vec()) {
            Ok(labels) if same => labels,
            _ => self,
        }
    }

    /// The number of the label with this name.
    pub fn get(&self, name: &str) -> Option<usize> {
        // Of a column that had a gap pandas writes 1 as 1.0.
        let number = || {
            let number: f64 = name.parse().ok().filter(|_| self.numbers_count)?;
            let is_one = number.fract() == 0.0 && (0.0..self.len() as f64).contains(&number);
            is_one.then_some(number as usize)
        };
        self.index.get(name).copied().or_else(number)
    }

    /// The name of the label with this number.
    pub fn name(&self, number: usize) -> Option<&str> {
        self.names.get(number).map(String::as_str)
    }

    /// How often each label is among these.
    pub fn count<'a>(&self, labels: impl IntoIterator<Item = &'a str>) -> Vec<u64> {
        let mut counts = vec![0; self.len()];
        for label in labels.into_iter().filter_map(|label| self.get(label)) {
            counts[label] += 1;
        }
        counts
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All names, in the order of their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Refuses labels that are too many to be labels.
    ///
    /// # Errors
    /// [`Error::Usage`], with the key that says where they stand.
    pub fn not_too_many(&self, key: &str) -> Result<()> {
        let count = self.len();
        let bytes = self.bytes_in_config();
        let problem = if count > MOST_LABELS {
            format!("the training data have {count} different labels, more than {MOST_LABELS}")
        } else if bytes > MOST_BYTES {
            format!(
                "the {count} labels of the training data take {bytes} bytes in a model's config.json, more than {MOST_BYTES}"
            )
        } else {
            return Ok(());
        };
        Err(Error::Usage {
            problem,
            help: format!(
                "check {key}: it should name the column of the labels, which are short and few"
            ),
        })
    }

    /// Each name stands there twice, with its number, on lines of their own.
    fn bytes_in_config(&self) -> usize {
        let of_name = |name: &String| 2 * (serde_json::json!(name).to_string().len() + 20);
        self.names.iter().map(of_name).sum()
    }

    /// Refuses a head with fewer outputs than its task needs.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn enough(&self, least: usize) -> Result<()> {
        if self.len() >= least {
            return Ok(());
        }
        Err(Error::Usage {
            problem: format!(
                "the model's classifier has {} named outputs, the task takes at least {least}",
                self.len()
            ),
            help: "give a model that was fine-tuned for this task, or mend id2label in its config.json"
                .into(),
        })
    }

    /// The label that was probably meant by a name that is none, if one is near.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.names.iter().map(String::as_str))
    }
}

fn tag_order(tag: &str) -> (&str, usize) {
    if let Some((prefix, kind)) = tag.split_once('-')
        && let Some(place) = TAG_PREFIXES.iter().position(|known| *known == prefix)
    {
        return (kind, place);
    }
    (tag, TAG_PREFIXES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_in_order_of_value_and_other_labels_of_bytes() {
        assert_eq!(
            Labels::discover(["10", "9", "-1", "9"]).names(),
            ["-1", "9", "10"]
        );
        assert_eq!(Labels::discover(["10", "9", "x"]).names(), ["10", "9", "x"]);
        assert_eq!(Labels::discover(["b", "B", "a"]).names(), ["B", "a", "b"]);
        assert!(Labels::discover([]).is_empty());
    }

    #[test]
    fn labels_equal_in_value_are_still_two_and_in_one_order() {
        let labels = Labels::discover(["1", "01", "+1"]);
        assert_eq!(labels, Labels::discover(["+1", "1", "01"]));
        assert_eq!(labels.len(), 3);
    }

    #[test]
    fn tags_are_outside_first_then_by_type_then_by_place_in_the_span() {
        let tags = ["S-PER", "I-LOC", "E-PER", "B-PER", "O", "I-PER", "B-LOC"];
        assert_eq!(
            Labels::discover_tags(tags).names(),
            ["O", "B-LOC", "I-LOC", "B-PER", "I-PER", "E-PER", "S-PER"]
        );
        assert_eq!(
            Labels::discover_tags(["10", "2", "0"]).names(),
            ["0", "2", "10"]
        );
        assert_eq!(
            Labels::discover_tags(["VERB", "NOUN", "O-X"]).names(),
            ["NOUN", "O-X", "VERB"]
        );
    }

    #[test]
    fn given_names_keep_their_order_and_may_not_repeat() {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let labels = Labels::from_names(names(&["no", "yes"])).unwrap();
        assert_eq!((labels.get("yes"), labels.name(1)), (Some(1), Some("yes")));
        assert_eq!((labels.get("maybe"), labels.name(2)), (None, None));
        assert_eq!(
            Labels::from_names(names(&["no", "yes", "no"])).unwrap_err(),
            "labels 0 and 2 are both \"no\""
        );
    }

    #[test]
    fn known_names_give_the_order_where_they_are_the_same() {
        let known =
            |names: &[&str]| -> Vec<String> { names.iter().map(|name| name.to_string()).collect() };
        let order = |names: &[&str]| Labels::discover(["b", "a"]).in_order_of(&known(names));
        assert_eq!(order(&["b", "a"]).names(), ["b", "a"]);
        for others in [&["b"][..], &["b", "c"], &["b", "a", "c"], &["b", "b"], &[]] {
            assert_eq!(order(others).names(), ["a", "b"]);
        }
    }

    #[test]
    fn numbers_stand_for_names_that_are_none() {
        let named = Labels::discover(["neg", "pos"]).or_numbers();
        let places = ["pos", "1", "2", "-1"].map(|label| named.get(label));
        assert_eq!(places, [Some(1), Some(1), None, None]);
        let places = ["1.0", "0.5", "2.0", "NaN", "inf"].map(|label| named.get(label));
        assert_eq!(places, [Some(1), None, None, None, None]);
        assert_eq!(Labels::discover(["3", "5"]).or_numbers().get("1"), None);
        assert_eq!(Labels::discover(["neg", "pos"]).get("1"), None);
    }

    #[test]
    fn the_nearest_label_is_found() {
        let labels = Labels::discover(["entailment", "contradiction"]);
        assert_eq!(labels.nearest("entailement"), Some("entailment"));
        assert_eq!(labels.nearest("neutral"), None);
    }

    #[test]
    fn as_many_labels_as_rows_are_refused_with_the_key_of_their_column() {
        let labels = |count: usize| {
            let names = (0..count).map(|label| label.to_string());
            Labels::from_names(names.collect()).unwrap()
        };
        assert!(labels(10_000).not_too_many("task.label").is_ok());
        let error = labels(10_001).not_too_many("task.label").unwrap_err();
        assert!(error.to_string().contains("10001 different"), "{error}");
        assert!(error.help().unwrap().contains("task.label"));
        let long = Labels::numbered((0..10_000).map(|number| format!("{number:90}")));
        let error = long.not_too_many("task.label").unwrap_err();
        assert!(error.to_string().contains("2240000 bytes"), "{error}");
    }
}
