//! Entities: tagged words are read as spans, and spans are scored whole (conlleval, seqeval).

use std::collections::{BTreeMap, HashSet};

use super::{Counts, Scores};

/// An entity: its type and the words it covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// The type, such as `PER`.
    pub kind: String,
    /// The first word.
    pub start: usize,
    /// The word after the last.
    pub end: usize,
}

/// How a word's tag says which entity it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagStyle {
    /// `B-`, `I-`, `E-`, `S-` before the type, and `O`: IOB1, IOB2 or IOBES, told apart by nothing
    /// and read by one rule.
    Prefixed,
    /// The same, with `L-` for `E-` and `U-` for `S-`, as BILOU calls them.
    Bilou,
    /// The tag is the type. A run of equal tags other than `O` is one entity.
    Raw,
}

/// The entities of one sentence, in order.
///
/// Prefixed tags are read as conlleval and seqeval's default mode (`get_entities`) read them, which
/// makes the best of invalid sequences: an `I-` after `O` or after another type starts an entity. The
/// type is what follows the first `-`, so that it may hold one itself, and is `_` where there is none.
/// An empty tag is read as `O`.
pub fn spans<T: AsRef<str>>(tags: &[T], style: TagStyle) -> Vec<Span> {
    match style {
        TagStyle::Prefixed => prefixed_spans(tags, |tag| Tag::parse(tag)),
        TagStyle::Bilou => prefixed_spans(tags, |tag| Tag::parse_bilou(tag)),
        TagStyle::Raw => raw_spans(tags),
    }
}

fn prefixed_spans<T: AsRef<str>>(tags: &[T], parse: fn(&str) -> Tag<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut previous = Tag {
        prefix: 'O',
        kind: "",
    };
    let mut start = 0;
    for (word, tag) in tags.iter().map(AsRef::as_ref).chain(["O"]).enumerate() {
        let tag = parse(tag);
        if entity_ends(previous, tag) {
            spans.push(Span {
                kind: previous.kind.to_owned(),
                start,
                end: word,
            });
        }
        if entity_starts(previous, tag) {
            start = word;
        }
        previous = tag;
    }
    spans
}

fn raw_spans<T: AsRef<str>>(tags: &[T]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = 0;
    for run in tags.chunk_by(|a, b| a.as_ref() == b.as_ref()) {
        let end = start + run.len();
        if run[0].as_ref() != "O" {
            spans.push(Span {
                kind: run[0].as_ref().to_owned(),
                start,
                end,
            });
        }
        start = end;
    }
    spans
}

#[derive(Clone, Copy)]
struct Tag<'a> {
    prefix: char,
    kind: &'a str,
}

impl<'a> Tag<'a> {
    fn parse(tag: &'a str) -> Self {
        let mut rest = tag.chars();
        let prefix = rest.next().unwrap_or('O');
        let rest = rest.as_str();
        let kind = rest.split_once('-').map_or(rest, |(_, kind)| kind);
        Self {
            prefix,
            kind: if kind.is_empty() { "_" } else { kind },
        }
    }

    fn parse_bilou(tag: &'a str) -> Self {
        let tag = Self::parse(tag);
        Self {
            prefix: match tag.prefix {
                'L' => 'E',
                'U' => 'S',
                prefix => prefix,
            },
            ..tag
        }
    }

    fn is_outside(self) -> bool {
        matches!(self.prefix, 'O' | '.')
    }
}

/// conlleval's `endOfChunk`: whether an entity ends between two words.
fn entity_ends(previous: Tag<'_>, tag: Tag<'_>) -> bool {
    matches!(
        (previous.prefix, tag.prefix),
        ('E' | 'S', _) | ('B' | 'I', 'B' | 'S' | 'O')
    ) || (!previous.is_outside() && previous.kind != tag.kind)
}

/// conlleval's `startOfChunk`: whether an entity starts at the second of two words.
fn entity_starts(previous: Tag<'_>, tag: Tag<'_>) -> bool {
    matches!(
        (previous.prefix, tag.prefix),
        (_, 'B' | 'S') | ('E' | 'S' | 'O', 'E' | 'I')
    ) || (!tag.is_outside() && previous.kind != tag.kind)
}

/// Counts of gold, predicted and rightly predicted entities of every type.
///
/// An entity is right where its type, its first and its last word are.
#[derive(Debug, Clone, Default)]
pub struct EntityScores {
    types: BTreeMap<String, Counts>,
}

impl EntityScores {
    /// No sentences yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one sentence. A span that is given twice counts once, as in seqeval.
    pub fn add(&mut self, gold: &[Span], predicted: &[Span]) {
        let gold: HashSet<&Span> = gold.iter().collect();
        let predicted: HashSet<&Span> = predicted.iter().collect();
        for span in &gold {
            self.counts(span).gold += 1;
        }
        for span in &predicted {
            self.counts(span).predicted += 1;
        }
        for span in gold.intersection(&predicted) {
            self.counts(span).true_positives += 1;
        }
    }

    /// The scores of all entities of any type (micro average), the F1 that papers report.
    pub fn overall(&self) -> Scores {
        Counts::micro_average(self.types.values())
    }

    /// The scores of every type that occurs in gold or in the predictions.
    pub fn per_type(&self) -> BTreeMap<String, Scores> {
        let scores = |(kind, counts): (&String, &Counts)| (kind.clone(), counts.scores());
        self.types.iter().map(scores).collect()
    }

    /// The plain mean over the types that occur; 0 where none does (seqeval: NaN).
    pub fn macro_average(&self) -> Scores {
        Scores::macro_average(&self.scores())
    }

    /// The mean over the types weighted by their number of gold entities.
    pub fn weighted_average(&self) -> Scores {
        Scores::weighted_average(&self.scores())
    }

    fn scores(&self) -> Vec<Scores> {
        self.types.values().map(|counts| counts.scores()).collect()
    }

    fn counts(&mut self, span: &Span) -> &mut Counts {
        self.types.entry(span.kind.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{EntityScores, Span, TagStyle, spans};
    use crate::metrics::Scores;
    use crate::metrics::oracle::{ExpectedScores, assert_scores};

    /// Tags with a space between, and their (type, start, end).
    type SpanCase = (String, Vec<(String, usize, usize)>);

    #[derive(serde::Deserialize)]
    struct SpanCases {
        prefixed: Vec<SpanCase>,
        raw: Vec<SpanCase>,
    }

    #[derive(serde::Deserialize)]
    struct ScoreCase {
        gold: Vec<String>,
        predicted: Vec<String>,
        overall: ExpectedScores,
        #[serde(rename = "macro")]
        macro_average: ExpectedScores,
        weighted: ExpectedScores,
        per_type: BTreeMap<String, ExpectedScores>,
    }

    fn read(tags: &str, style: TagStyle) -> Vec<Span> {
        spans(&tags.split(' ').collect::<Vec<_>>(), style)
    }

    fn span(kind: &str, start: usize, end: usize) -> Span {
        Span {
            kind: kind.to_owned(),
            start,
            end,
        }
    }

    fn assert_spans(cases: Vec<SpanCase>, style: TagStyle) {
        for (tags, expected) in cases {
            let expected: Vec<Span> = expected
                .iter()
                .map(|(kind, start, end)| span(kind, *start, *end))
                .collect();
            assert_eq!(read(&tags, style), expected, "{tags}");
        }
    }

    #[test]
    fn spans_of_prefixed_tags_are_seqevals_and_of_raw_tags_pythons_groupby() {
        let cases = include_str!("../../tests/metrics/entity_spans.json");
        let cases: SpanCases = serde_json::from_str(cases).unwrap();
        assert_spans(cases.prefixed, TagStyle::Prefixed);
        assert_spans(cases.raw, TagStyle::Raw);
    }

    #[test]
    fn every_score_is_seqevals() {
        let cases = include_str!("../../tests/metrics/entity_scores.json");
        let cases: Vec<ScoreCase> = serde_json::from_str(cases).unwrap();
        for case in cases {
            let mut scores = EntityScores::new();
            for (gold, predicted) in case.gold.iter().zip(&case.predicted) {
                let [gold, predicted] =
                    [gold, predicted].map(|tags| read(tags, TagStyle::Prefixed));
                scores.add(&gold, &predicted);
            }
            assert_scores(scores.overall(), case.overall);
            assert_scores(scores.macro_average(), case.macro_average);
            assert_scores(scores.weighted_average(), case.weighted);
            let per_type = scores.per_type();
            assert!(per_type.keys().eq(case.per_type.keys()));
            for (kind, expected) in case.per_type {
                assert_scores(per_type[&kind], expected);
            }
        }
    }

    #[test]
    fn the_same_entities_are_read_from_iob1_iob2_and_iobes() {
        let expected = [span("PER", 0, 2), span("PER", 2, 3), span("LOC", 4, 5)];
        for tags in [
            "I-PER I-PER B-PER O I-LOC",
            "B-PER I-PER B-PER O B-LOC",
            "B-PER E-PER S-PER O S-LOC",
        ] {
            assert_eq!(read(tags, TagStyle::Prefixed), expected);
        }
    }

    #[test]
    fn a_type_may_hold_a_hyphen_or_be_missing() {
        let read = read("B-fine-grained I-fine-grained B I", TagStyle::Prefixed);
        assert_eq!(read, [span("fine-grained", 0, 2), span("_", 2, 4)]);
    }

    #[test]
    fn an_entity_with_a_wrong_boundary_is_wrong_in_both_directions() {
        let mut scores = EntityScores::new();
        scores.add(&[span("PER", 0, 2)], &[span("PER", 0, 1)]);
        assert_eq!(scores.overall(), Scores::from_counts(0, 1, 1));
    }

    #[test]
    fn a_span_given_twice_counts_once() {
        let mut scores = EntityScores::new();
        scores.add(
            &[span("PER", 0, 1)],
            &[span("PER", 0, 1), span("PER", 0, 1)],
        );
        assert_eq!(scores.overall(), Scores::from_counts(1, 1, 1));
    }

    #[test]
    fn nothing_tagged_gives_no_spans_and_scores_zero() {
        assert_eq!(spans::<&str>(&[], TagStyle::Prefixed), []);
        assert_eq!(spans::<&str>(&[], TagStyle::Raw), []);
        assert_eq!(spans(&["", "O"], TagStyle::Prefixed), []);
        let mut empty = EntityScores::new();
        empty.add(&[], &[]);
        assert_eq!(empty.overall(), Scores::default());
        assert_eq!(empty.macro_average(), Scores::default());
        assert_eq!(empty.weighted_average(), Scores::default());
        assert!(empty.per_type().is_empty());
    }
}
