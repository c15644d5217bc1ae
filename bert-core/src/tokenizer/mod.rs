//! WordPiece, through the tokenizers library: learning it, reading it, writing it, using it.

mod counts;
mod cut;
mod files;
mod json;
mod parts;
mod train;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::AHashMap;
use compact_str::CompactString;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::utils::truncation::TruncationDirection;
use tokenizers::{AddedToken, ModelWrapper, Tokenizer};

use crate::error::{Error, Result};
use cut::{Cutter, longest_first};
use parts::{SPACES, is_own_word, parts};

pub use counts::WordCounts;

/// A word of more characters is `[UNK]`, never cut, where a tokenizer does not say otherwise.
const LONGEST_CUT_WORD: usize = 100;

/// The ids of the five special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialTokens {
    /// `[PAD]`
    pub pad: u32,
    /// `[UNK]`
    pub unk: u32,
    /// `[CLS]`
    pub cls: u32,
    /// `[SEP]`
    pub sep: u32,
    /// `[MASK]`
    pub mask: u32,
}

/// A text or a pair as the model takes it, with `[CLS]` and `[SEP]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Word ids.
    pub input_ids: Vec<u32>,
    /// 0 through the first `[SEP]`, 1 after it.
    pub token_type_ids: Vec<u8>,
    /// Where each token stands in its text, in characters; `(0, 0)` for special tokens.
    pub offsets: Vec<(usize, usize)>,
    /// Which word of its text each token belongs to, counted from 0: words are what white space and punctuation leave;
    /// `None` for special tokens.
    pub words: Vec<Option<u32>>,
    /// Whether tokens were cut off to stay within a number of them.
    pub truncated: bool,
}

/// A BERT tokenizer. Clones are cheap.
#[derive(Clone)]
pub struct BertTokenizer {
    tokenizer: Arc<Tokenizer>,
    special: SpecialTokens,
    normalizer: BertNormalizer,
    /// Tokens by id.
    vocabulary: Arc<[String]>,
    cutter: Arc<Cutter>,
    /// Whether there is a token that has white space inside, or that is one between others' characters only if it stands alone.
    looks_around: bool,
    /// Of each token that is looked for in a text as it stands, `[MASK]` and the like, the first sign that ends a part.
    signs_of_added: Arc<[char]>,
    /// Whether texts that are too long lose their beginning: transformers' `truncation_side`.
    truncates_left: bool,
    /// Tells this tokenizer from every other of the process; clones share it, as they share everything.
    instance: u64,
}

/// A part of a text of at most so many bytes is remembered: it is likely to come again. A longer one is in a script without
/// spaces, or no text, and likely never does.
const SHORT_PART_BYTES: usize = 64;

/// Short parts a thread remembers with their ids, some 20 MB at most. A few ten thousand cover most of a text.
const CACHED_PARTS: usize = 1 << 16;

thread_local! {
    /// Ids of parts, for one tokenizer (by its instance, counted from 1) at a time.
    static CACHE: RefCell<(u64, AHashMap<CompactString, Vec<u32>>)> = RefCell::default();
}

impl BertTokenizer {
    fn new(tokenizer: Tokenizer) -> Result<Self> {
        let mut entries: Vec<(String, u32)> = tokenizer.get_vocab(true).into_iter().collect();
        entries.sort_by_key(|(_, id)| *id);
        for (index, (token, id)) in entries.iter().enumerate() {
            if index as u32 != *id {
                return Err(unusable(format!(
                    "ids are not consecutive at {token:?} ({id})"
                )));
            }
        }
        let id = |token: &str| {
            tokenizer
                .token_to_id(token)
                .ok_or_else(|| unusable(format!("the vocabulary lacks {token}")))
        };
        let special = SpecialTokens {
            pad: id("[PAD]")?,
            unk: id("[UNK]")?,
            cls: id("[CLS]")?,
            sep: id("[SEP]")?,
            mask: id("[MASK]")?,
        };
        let normalizer = files::bert_normalizer(&tokenizer)?;
        let added = tokenizer.get_added_tokens_decoder();
        let looks_around = |token: &AddedToken| token.single_word || token.content.contains(SPACES);
        let first_sign = |token: &AddedToken| token.content.chars().find(|c| is_own_word(*c, true));
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            instance: INSTANCES.fetch_add(1, Ordering::Relaxed) + 1,
            special,
            cutter: Arc::new(Cutter::new(&tokenizer, normalizer)),
            looks_around: added.values().any(looks_around),
            signs_of_added: added.values().filter_map(first_sign).collect(),
            truncates_left: false,
            normalizer,
            vocabulary: entries.into_iter().map(|(token, _)| token).collect(),
            tokenizer: Arc::new(tokenizer),
        })
    }

    /// The number of tokens.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// Refuses a model that has fewer word embeddings than there are tokens.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_fits(&self, word_embeddings: usize) -> Result<()> {
        let tokens = self.vocab_size();
        if tokens <= word_embeddings {
            return Ok(());
        }
        Err(Error::Usage {
            problem: format!(
                "the tokenizer has {tokens} tokens, the model {word_embeddings} word embeddings"
            ),
            help: "use the tokenizer that belongs to the model".into(),
        })
    }

    /// The special tokens.
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// Whether case and accents are dropped.
    pub fn lowercase(&self) -> bool {
        self.normalizer.lowercase
    }

    /// The id of a token, which is a whole piece with its `##`; `None` where the vocabulary lacks it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// The token of an id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.vocabulary.get(id as usize).map(String::as_str)
    }

    /// Whether an id continues a word: a `##` piece.
    pub fn continues_word(&self, id: u32) -> bool {
        self.token(id).is_some_and(|token| token.starts_with("##"))
    }

    /// Ids as text again, with a space between words: case, accents and spaces that encoding dropped do not come back.
    /// `skip_special` leaves `[CLS]` and its like out.
    ///
    /// # Errors
    /// [`Error::Usage`] where an id is beyond the vocabulary.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let tokens = self.vocab_size();
        if let Some(id) = ids.iter().find(|id| **id as usize >= tokens) {
            return Err(Error::Usage {
                problem: format!("id {id} is beyond the vocabulary of {tokens}"),
                help: "use the tokenizer that made the ids".into(),
            });
        }
        let text = self.tokenizer.decode(ids, skip_special);
        text.map_err(failed("decode ids"))
    }

    /// Changes whenever the ids of whole texts would.
    pub fn fingerprint(&self) -> u64 {
        let longest_word = match self.tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => model.max_input_chars_per_word,
            _ => unreachable!("a BERT tokenizer is made of WordPiece"),
        };
        let added = self.tokenizer.get_added_tokens_decoder();
        let added: BTreeMap<_, _> = added.iter().collect();
        let text = format!(
            "{}\n{:?} {longest_word} {added:?}",
            self.vocabulary.join("\n"),
            self.normalizer
        );
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }

    /// Appends the ids of a text, without special tokens around it.
    ///
    /// Parts of the text are looked up in a cache, and only new or long ones go to the library; so do stretches between white
    /// space where a token may stand that is looked for as it is.
    ///
    /// # Errors
    /// [`Error::Tokenizer`], which a BERT tokenizer has no cause for.
    pub fn append_ids(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        if self.looks_around {
            let encoding = self.tokenizer.encode_fast(text, false);
            ids.extend_from_slice(encoding.map_err(failed("encode a text"))?.get_ids());
            return Ok(());
        }
        CACHE.with_borrow_mut(|(owner, cache)| {
            if *owner != self.instance {
                *owner = self.instance;
                cache.clear();
            }
            let mut append = |part: &str| {
                if let Some(known) = cache.get(part) {
                    ids.extend_from_slice(known);
                    return Ok(());
                }
                let encoding = self
                    .tokenizer
                    .encode_fast(part, false)
                    .map_err(failed("encode a text"))?;
                ids.extend_from_slice(encoding.get_ids());
                if part.len() <= SHORT_PART_BYTES {
                    if cache.len() == CACHED_PARTS {
                        cache.clear();
                    }
                    cache.insert(part.into(), encoding.get_ids().to_vec());
                }
                Ok(())
            };
            let ideographs = self.normalizer.handle_chinese_chars;
            for stretch in text.split(SPACES) {
                if stretch.contains(&*self.signs_of_added) {
                    append(stretch)?;
                } else {
                    parts(stretch, ideographs).try_for_each(&mut append)?;
                }
            }
            Ok(())
        })
    }

    /// A text or a pair between special tokens. Nothing is cut.
    ///
    /// # Errors
    /// [`Error::Tokenizer`], which a BERT tokenizer has no cause for.
    pub fn encode(&self, text: &str, pair: Option<&str>) -> Result<Encoding> {
        self.encode_truncated(text, pair, usize::MAX)
    }

    /// The same within `max_tokens`, special tokens included: what is too much is cut from the end of the longer text, as
    /// transformers' `longest_first` does, or from its beginning where the tokenizer's files say `"truncation_side": "left"`.
    ///
    /// # Errors
    /// [`Error::Usage`] where not even the special tokens fit.
    pub fn encode_truncated(
        &self,
        text: &str,
        pair: Option<&str>,
        max_tokens: usize,
    ) -> Result<Encoding> {
        let special = if pair.is_some() { 3 } else { 2 };
        let Some(max_length) = max_tokens.checked_sub(special) else {
            return Err(Error::Usage {
                problem: format!("{max_tokens} tokens have no room for the {special} special ones"),
                help: format!("allow at least {special}"),
            });
        };
        let (most, side) = match self.truncates_left {
            // The end of a text is known once all of it is.
            true => (usize::MAX, TruncationDirection::Left),
            false => (max_length, TruncationDirection::Right),
        };
        let mut first = self.pieces(text, most)?;
        let mut second = pair.map(|pair| self.pieces(pair, most)).transpose()?;
        let truncated = first.tokens() + second.as_ref().map_or(0, Pieces::tokens) > max_length;
        if truncated {
            let kept = match (pair, &second) {
                (Some(pair), Some(second)) => {
                    let mut tokens = (first.tokens(), second.tokens());
                    let both = tokens.0.min(tokens.1) > max_length;
                    if both && !max_length.is_multiple_of(2) {
                        // Which of the two is longer the beginnings do not say.
                        tokens = (first.all(self, text)?, second.all(self, pair)?);
                    }
                    longest_first(tokens.0, tokens.1, max_length)
                }
                _ => (max_length, 0),
            };
            first.encoding.truncate(kept.0, 0, side);
            if let Some(second) = &mut second {
                second.encoding.truncate(kept.1, 0, side);
            }
        }
        let second = second.map(|second| second.encoding);
        let encoding = self
            .tokenizer
            .post_process(first.encoding, second, true)
            .map_err(failed("encode a text"))?;
        Ok(Encoding {
            input_ids: encoding.get_ids().to_vec(),
            token_type_ids: encoding.get_type_ids().iter().map(|&id| id as u8).collect(),
            offsets: encoding.get_offsets().to_vec(),
            words: encoding.get_word_ids().to_vec(),
            truncated,
        })
    }

    /// The tokens of a text, without special ones; of a long text those of a beginning that has more than `most`.
    fn pieces(&self, text: &str, most: usize) -> Result<Pieces> {
        let mut words = most;
        loop {
            let shown = self.cutter.beginning(text, words);
            let encoding = self.tokenizer.encode_char_offsets(shown, false);
            let encoding = encoding.map_err(failed("encode a text"))?;
            if shown.len() == text.len() || encoding.len() > most {
                let bytes = shown.len();
                return Ok(Pieces { encoding, bytes });
            }
            // It has words that the normaliser leaves nothing of, or that are one added token together.
            words = words.saturating_mul(4).max(1);
        }
    }
}

impl fmt::Debug for BertTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BertTokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("lowercase", &self.lowercase())
            .finish_non_exhaustive()
    }
}

/// Tokens of the beginning of a text.
struct Pieces {
    encoding: tokenizers::Encoding,
    /// Bytes of the beginning.
    bytes: usize,
}

impl Pieces {
    fn tokens(&self) -> usize {
        self.encoding.len()
    }

    /// How many tokens all of the text has, a part at a time.
    fn all(&self, tokenizer: &BertTokenizer, text: &str) -> Result<usize> {
        const PART: usize = 1 << 12;
        let (mut tokens, mut rest) = (self.tokens(), &text[self.bytes..]);
        while !rest.is_empty() {
            let part = tokenizer.cutter.beginning(rest, PART);
            let encoding = tokenizer.tokenizer.encode_fast(part, false);
            tokens += encoding.map_err(failed("encode a text"))?.len();
            rest = &rest[part.len()..];
        }
        Ok(tokens)
    }
}

fn failed(action: &str) -> impl FnOnce(tokenizers::Error) -> Error {
    let action = action.to_string();
    move |source| Error::Tokenizer { action, source }
}

fn unusable(problem: String) -> Error {
    Error::Usage {
        problem: format!("this is not a BERT tokenizer: {problem}"),
        help:
            "give a WordPiece tokenizer.json, or a vocab.txt, with [PAD] [UNK] [CLS] [SEP] [MASK]"
                .into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// Tokenizers of which ideographs are words, are not, and of which a token is one only by itself. All know a token with a
    /// sign inside and one without.
    static TOKENIZERS: std::sync::LazyLock<[BertTokenizer; 3]> = std::sync::LazyLock::new(|| {
        [(true, false), (false, false), (true, true)].map(|(ideographs, single_word)| {
            let directory = tempfile::tempdir().unwrap();
            let write = |name: &str, content: String| {
                std::fs::write(directory.path().join(name), content).unwrap();
            };
            let vocabulary = "[PAD] [UNK] [CLS] [SEP] [MASK] a ##a b ##b e . , = - \u{201c} \u{4e2d} ##\u{4e2d} \u{6587} ##\u{6587}";
            write("vocab.txt", vocabulary.replace(' ', "\n"));
            write("added_tokens.json", "{\"a-b\": 19}".into());
            let config = format!("{{\"tokenize_chinese_chars\": {ideographs}}}");
            write("tokenizer_config.json", config);
            let tokenizer = BertTokenizer::load(directory.path()).unwrap();
            assert_eq!(tokenizer.normalizer.handle_chinese_chars, ideographs);
            let mut library = (*tokenizer.tokenizer).clone();
            let token = AddedToken::from("bab", false).single_word(single_word);
            library.add_tokens([token]).unwrap();
            let tokenizer = BertTokenizer::new(library).unwrap();
            assert_eq!(tokenizer.looks_around, single_word);
            tokenizer
        })
    });

    proptest! {
        #[test]
        fn ids_put_together_are_those_of_the_whole_text(
            text in r#"([abÉ\u{301}\u{338}\u{0}\u{200b}\u{a0} .,=≠\u{37e}“—\-\[\]，。中文豈か\u{3099}_]|a-b|bab|\[MASK\]|\PC){0,40}"#,
        ) {
            for tokenizer in &*TOKENIZERS {
                let mut ids = Vec::new();
                tokenizer.append_ids(&text, &mut ids).unwrap();
                let whole = tokenizer.tokenizer.encode(text.as_str(), false).unwrap();
                prop_assert_eq!(&ids, whole.get_ids());
            }
        }
    }

    #[test]
    fn of_a_long_text_little_more_than_what_is_kept_is_tokenized() {
        let golden = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/tokenizers/uncased"
        );
        let tokenizer = BertTokenizer::load(Path::new(golden)).unwrap();
        let text = "the quick, brown \u{65e5}\u{672c}\u{8a9e} ".repeat(400_000);
        let pieces = tokenizer.pieces(&text, 126).unwrap();
        assert!(
            pieces.tokens() > 126 && pieces.bytes < 4096,
            "{}",
            pieces.bytes
        );
        let cut = tokenizer.encode_truncated(&text, None, 128).unwrap();
        assert_eq!((cut.input_ids.len(), cut.truncated), (128, true));
    }

    #[test]
    fn an_added_token_may_have_a_space_inside_and_ids_change_with_what_decides_them() {
        let directory = tempfile::tempdir().unwrap();
        let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nnew\nyork\nin\n";
        let load = |added: &str| {
            std::fs::write(directory.path().join("vocab.txt"), vocabulary).unwrap();
            std::fs::write(directory.path().join("added_tokens.json"), added).unwrap();
            BertTokenizer::load(directory.path()).unwrap()
        };
        let ids = |tokenizer: &BertTokenizer, text: &str| {
            let mut ids = Vec::new();
            tokenizer.append_ids(text, &mut ids).unwrap();
            ids
        };
        let spaced = load("{\"new york\": 8}");
        assert_eq!(ids(&spaced, "in new york"), [7, 8]);
        let encoding = spaced.encode("in new york", None).unwrap();
        assert_eq!(encoding.input_ids, [2, 7, 8, 3]);
        let other = load("{\"york new\": 8}");
        assert_eq!(ids(&other, "in new york"), [7, 5, 6]);
        assert_ne!(spaced.fingerprint(), other.fingerprint());
    }
}
