//! What the model learns from: segments of text with masked tokens, made afresh from the documents in every epoch.
//!
//! | file | what it does |
//! |---|---|
//! | `sections` | cuts documents into runs of sentences, the unit of order and of parallel work |
//! | `pairs` | cuts a section into segments A and B, or into single texts |
//! | `masking` | chooses the tokens to predict and hides them |
//! | `stream` | the endless sequence of training batches, and the place in it |
//! | `evaluation` | the fixed examples that runs are compared by |
//! | `show` | prints an example for a person |
//!
//! Every example is a function of (seed, epoch, document, sentence): neither threads nor what was made before
//! it have a say.
//!
//! Reference: Devlin et al. 2019, section 3.1 and appendix A.1, and `create_pretraining_data.py` of
//! google-research/bert; where this differs, the place says so.

mod evaluation;
mod masking;
mod pairs;
mod sections;
mod show;
mod stream;
#[cfg(test)]
mod testing;

use bert_core::data::batches::group;
use bert_core::data::random::generator;
use bert_core::error::{Error, Result};
use bert_core::tokenizer::{BertTokenizer, SpecialTokens};
use serde::Serialize;

use crate::config::{ExamplesConfig, Pairs};
use crate::corpus::DocumentStore;

pub use evaluation::evaluation_examples;
pub use show::{ReadableExample, legend, render};
pub use stream::{BatchStream, Cursor};

use masking::Masking;
use pairs::Segments;
use sections::Section;

/// One training example: `[CLS] A [SEP] B [SEP]`, or `[CLS] text [SEP]` without pairs, with masks applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What the model sees, `[tokens]`.
    pub input_ids: Vec<u32>,
    /// 0 through the first `[SEP]`, 1 for B and its `[SEP]`, `[tokens]`.
    pub token_type_ids: Vec<u8>,
    /// Positions to predict, ascending, at least one, `[masked]`.
    pub masked_positions: Vec<u32>,
    /// The ids that stood there, `[masked]`.
    pub masked_labels: Vec<u32>,
    /// 0: B follows A; 1: B is a stranger (`nsp`) or the two are swapped (`sop`). None without pairs.
    pub next_sentence_label: Option<u8>,
    /// Where the text comes from, for messages.
    pub origin: Origin,
}

/// Where an example's text comes from. Documents and sentences count from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The document.
    pub document: usize,
    /// The sentence its text begins with (for `sop`: the text in its true order).
    pub first_sentence: usize,
    /// The document B was taken from, where that is another one.
    pub random_document: Option<usize>,
    /// Tokens of the document's sentences that were cut away, having no room.
    pub cut_tokens: usize,
    /// The epoch that drew it; 0 for evaluation.
    pub epoch: u64,
}

/// What masking has to know of the vocabulary.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    special: SpecialTokens,
    continues_word: Vec<bool>,
    /// The ids a random replacement is drawn from: all but the special ones. A deliberate difference:
    /// google-research/bert and Hugging Face draw `[PAD]`, `[CLS]` and the like too.
    ordinary: Vec<u32>,
}

impl Vocabulary {
    /// The vocabulary of a tokenizer.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has nothing but special tokens.
    pub fn of(tokenizer: &BertTokenizer) -> Result<Self> {
        let ids = 0..tokenizer.vocab_size() as u32;
        let continues_word = ids.map(|id| tokenizer.continues_word(id));
        Self::new(tokenizer.special(), continues_word.collect())
    }

    /// A vocabulary whose ids are the indices of `continues_word`, which marks the "##" pieces.
    fn new(special: SpecialTokens, continues_word: Vec<bool>) -> Result<Self> {
        let mut vocabulary = Self {
            special,
            continues_word,
            ordinary: Vec::new(),
        };
        let ids = 0..vocabulary.continues_word.len() as u32;
        vocabulary.ordinary = ids.filter(|id| !vocabulary.is_special(*id)).collect();
        if vocabulary.ordinary.is_empty() {
            return Err(Error::Usage {
                problem: "the vocabulary has nothing but special tokens".into(),
                help: "the tokenizer needs word pieces beside [PAD] [UNK] [CLS] [SEP] [MASK]; train one or load another"
                    .into(),
            });
        }
        Ok(vocabulary)
    }

    /// The ids of `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`.
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// Whether a token is never masked: `[UNK]` is among them, as "predict that a word was unknown" teaches nothing.
    fn is_special(&self, id: u32) -> bool {
        let special = self.special;
        [
            special.pad,
            special.unk,
            special.cls,
            special.sep,
            special.mask,
        ]
        .contains(&id)
    }

    fn continues_word(&self, id: u32) -> bool {
        self.continues_word[id as usize]
    }
}

/// The settings examples are made by: those of the configuration for training, in part fixed for evaluation.
#[derive(Debug, Clone)]
struct ExampleSettings {
    max_seq_length: usize,
    pairs: Pairs,
    short_seq_probability: f64,
    masking: Masking,
}

impl ExampleSettings {
    /// # Errors
    /// [`Error::Usage`] for a length without room for two tokens, or a share outside its range.
    fn new(config: &ExamplesConfig) -> Result<Self> {
        let refuse = |problem: String, help: &str| {
            Err(Error::Usage {
                problem,
                help: help.into(),
            })
        };
        if config.max_seq_length < 5 {
            return refuse(
                format!(
                    "examples.max_seq_length is {}: [CLS] A [SEP] B [SEP] is 5 tokens at least",
                    config.max_seq_length
                ),
                "set examples.max_seq_length to 128 or so",
            );
        }
        if !(config.masked_fraction > 0.0 && config.masked_fraction <= 1.0) {
            return refuse(
                format!(
                    "examples.masked_fraction is {}, which is no share of tokens",
                    config.masked_fraction
                ),
                "set it above 0 and at most 1; BERT uses 0.15",
            );
        }
        if !(0.0..=1.0).contains(&config.short_seq_probability) {
            return refuse(
                format!(
                    "examples.short_seq_probability is {}, which is no probability",
                    config.short_seq_probability
                ),
                "set it between 0 and 1; BERT uses 0.1",
            );
        }
        Ok(Self {
            max_seq_length: config.max_seq_length,
            pairs: config.pairs,
            short_seq_probability: config.short_seq_probability,
            masking: Masking {
                fraction: config.masked_fraction,
                whole_word: config.whole_word,
            },
        })
    }

    /// The most tokens of text in an example, special tokens not counted.
    fn max_text_tokens(&self) -> usize {
        match self.pairs {
            Pairs::Nsp | Pairs::Sop => self.max_seq_length - 3,
            Pairs::None => self.max_seq_length - 2,
        }
    }

    /// Whether the store can give what the objective needs.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no text, no other document to draw a B from, or nowhere two sentences in a row.
    fn check_store<S: DocumentStore>(&self, store: &S) -> Result<()> {
        let documents = store.documents();
        let refuse = |problem: String, help: &str| {
            Err(Error::Usage {
                problem,
                help: help.into(),
            })
        };
        if documents == 0 {
            return refuse(
                "there is no document to make examples from".into(),
                "check corpus.paths, and examples.valid_fraction when it is the validation share that is empty",
            );
        }
        if matches!(self.pairs, Pairs::Nsp) && documents < 2 {
            return refuse(
                "examples.pairs is nsp, but there is one document only: a random next sentence comes from another"
                    .into(),
                "separate documents by blank lines (corpus.documents), give more files, raise examples.valid_fraction \
                 when it is the validation share, or set examples.pairs to sop or none",
            );
        }
        let pairs = !matches!(self.pairs, Pairs::None);
        if pairs && (0..documents).all(|document| store.sentences(document) < 2) {
            return refuse(
                "no document has two sentences, so there is no next sentence to learn from".into(),
                "let the text be cut into sentences (corpus.sentences: split), join lines into documents \
                 (corpus.documents: blank_line), or set examples.pairs to none",
            );
        }
        Ok(())
    }

    /// All examples of a section in one epoch, in the order of the text.
    ///
    /// One that has no token to predict, being `[UNK]` throughout, is left out.
    fn examples<S: DocumentStore>(
        &self,
        store: &S,
        vocabulary: &Vocabulary,
        section: Section,
        seed: u64,
        epoch: u64,
    ) -> Vec<Example> {
        let indices = [
            epoch,
            section.document as u64,
            section.first_sentence as u64,
        ];
        let mut pair_generator = generator(seed, "pairs", &indices);
        let mut mask_generator = generator(seed, "masks", &indices);
        let mut examples = Vec::new();
        pairs::for_each(self, store, section, &mut pair_generator, |segments| {
            let (mut input_ids, token_type_ids) = assemble(&segments, vocabulary.special);
            let masked = self
                .masking
                .apply(&mut input_ids, vocabulary, &mut mask_generator);
            if let Some((masked_positions, masked_labels)) = masked {
                examples.push(Example {
                    input_ids,
                    token_type_ids,
                    masked_positions,
                    masked_labels,
                    next_sentence_label: segments.label,
                    origin: Origin {
                        document: section.document,
                        first_sentence: segments.first_sentence,
                        random_document: segments.random_document,
                        cut_tokens: segments.cut_tokens,
                        epoch,
                    },
                });
            }
        });
        examples
    }
}

/// Examples in batches of at most `batch_tokens` tokens, shortest first: sorted by length, stably, then [`group`]ed.
pub fn into_batches(mut examples: Vec<Example>, batch_tokens: usize) -> Vec<Vec<Example>> {
    examples.sort_by_key(|example| example.input_ids.len());
    let lengths: Vec<usize> = examples.iter().map(|e| e.input_ids.len()).collect();
    let mut examples = examples.into_iter();
    group(&lengths, batch_tokens)
        .into_iter()
        .map(|range| examples.by_ref().take(range.len()).collect())
        .collect()
}

/// `[CLS] A [SEP] B [SEP]` with types 0 and 1, or `[CLS] A [SEP]` with type 0.
fn assemble(segments: &Segments<'_>, special: SpecialTokens) -> (Vec<u32>, Vec<u8>) {
    let first = segments.a.len() + 2;
    let second = segments.b.map_or(0, |b| b.len() + 1);
    let mut input_ids = Vec::with_capacity(first + second);
    input_ids.push(special.cls);
    input_ids.extend_from_slice(segments.a);
    input_ids.push(special.sep);
    if let Some(b) = segments.b {
        input_ids.extend_from_slice(b);
        input_ids.push(special.sep);
    }
    let mut token_type_ids = vec![0; first];
    token_type_ids.resize(first + second, 1);
    (input_ids, token_type_ids)
}

#[cfg(test)]
mod tests {
    use super::testing::{SPECIAL, Store, config, vocabulary};
    use super::*;

    #[test]
    fn special_tokens_and_types_stand_where_the_paper_puts_them() {
        let pair = Segments {
            a: &[11, 12, 13],
            b: Some(&[21, 22]),
            label: Some(0),
            first_sentence: 0,
            random_document: None,
            cut_tokens: 0,
        };
        let (ids, types) = assemble(&pair, SPECIAL);
        assert_eq!(ids, [2, 11, 12, 13, 3, 21, 22, 3]);
        assert_eq!(types, [0, 0, 0, 0, 0, 1, 1, 1]);
        let single = Segments { b: None, ..pair };
        let (ids, types) = assemble(&single, SPECIAL);
        assert_eq!(ids, [2, 11, 12, 13, 3]);
        assert_eq!(types, [0; 5]);
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_their_key() {
        let refused = |change: &dyn Fn(&mut ExamplesConfig)| {
            let mut config = config(Pairs::Nsp);
            change(&mut config);
            let error = ExampleSettings::new(&config).expect_err("must be refused");
            assert_eq!(error.exit_code(), 2);
            assert!(error.help().is_some());
            error.to_string()
        };
        assert!(refused(&|c| c.max_seq_length = 4).contains("max_seq_length is 4"));
        assert!(refused(&|c| c.masked_fraction = 0.0).contains("masked_fraction"));
        assert!(refused(&|c| c.masked_fraction = f64::NAN).contains("masked_fraction"));
        assert!(refused(&|c| c.short_seq_probability = 1.5).contains("short_seq_probability"));
        let mut smallest = config(Pairs::Nsp);
        smallest.max_seq_length = 5;
        assert!(ExampleSettings::new(&smallest).is_ok());
    }

    #[test]
    fn a_store_without_what_the_objective_needs_is_refused() {
        let check = |pairs, documents: &[&[usize]]| {
            let settings = ExampleSettings::new(&config(pairs)).expect("valid");
            settings.check_store(&Store::of_lengths(documents))
        };
        let message = |pairs, documents: &[&[usize]]| {
            check(pairs, documents)
                .expect_err("must be refused")
                .to_string()
        };
        assert!(message(Pairs::None, &[]).contains("no document"));
        assert!(message(Pairs::Nsp, &[&[3, 4, 5]]).contains("one document only"));
        assert!(message(Pairs::Nsp, &[&[3], &[4]]).contains("two sentences"));
        assert!(message(Pairs::Sop, &[&[3], &[4]]).contains("two sentences"));
        assert!(check(Pairs::Sop, &[&[3, 4, 5]]).is_ok());
        assert!(check(Pairs::None, &[&[3]]).is_ok());
        assert!(check(Pairs::Nsp, &[&[3, 4], &[5]]).is_ok());
    }

    #[test]
    fn a_vocabulary_of_special_tokens_only_is_refused() {
        assert!(Vocabulary::new(SPECIAL, vec![false; 5]).is_err());
        let six = Vocabulary::new(SPECIAL, vec![false; 6]).expect("one ordinary id");
        assert_eq!(six.ordinary, [5]);
    }

    #[test]
    fn an_example_of_unknown_words_only_is_left_out() {
        let mut store = Store::of_lengths(&[&[7, 9], &[5, 3]]);
        store.fill(0, SPECIAL.unk);
        let settings = ExampleSettings::new(&config(Pairs::None)).expect("valid");
        let sections = sections::sections(&store, 100).expect("sections");
        let of = |section| settings.examples(&store, &vocabulary(), section, 1, 0);
        assert!(of(sections.get(0)).is_empty());
        assert_eq!(of(sections.get(1)).len(), 1);
    }
}
