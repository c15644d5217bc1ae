//! From configuration to a prepared corpus, and to a tokenizer learnt from it; both cached.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use bert_core::error::{Error, Result};
use bert_core::files::{
    Lock, damage, fingerprint, remove_leftovers_of, write_atomically, write_checked_directory,
};
use bert_core::tell;
use bert_core::tokenizer::{BertTokenizer, WordCounts};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::document::RawDocument;
use super::lines::Reading;
use super::shards::{Corpus, Documents, Writer, is_wide};
use super::sources::{MAX_DOCUMENT_BYTES, each_document, files};
use crate::config::{CorpusConfig, PretrainConfig, Sentences, TokenizerConfig};

/// Changes whenever prepared corpora of before cannot be read any more.
const FORMAT: u32 = 2;
/// Changes with the rules by which text is split into sentences.
const SPLITTING: u32 = 1;
/// Text handed to the workers at a time.
const BLOCK_BYTES: usize = 8 << 20;
/// Memory for the counts of distinct words, beyond which the rarest are forgotten: some six million words.
const MAX_COUNTED_BYTES: usize = 400 << 20;

/// What decides a prepared corpus.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Where text comes from.
    pub corpus: &'a CorpusConfig,
    /// What cuts it.
    pub tokenizer: &'a TokenizerConfig,
    /// The share of documents held out.
    pub valid_fraction: f64,
    /// Which ones.
    pub seed: u64,
    /// Where results are kept.
    pub cache_dir: &'a Path,
    /// Whether examples draw on a second document.
    pub needs_two_documents: bool,
}

impl<'a> From<&'a PretrainConfig> for Settings<'a> {
    fn from(config: &'a PretrainConfig) -> Self {
        Self {
            corpus: &config.corpus,
            tokenizer: &config.tokenizer,
            valid_fraction: config.examples.valid_fraction,
            seed: config.seed,
            cache_dir: &config.cache_dir,
            needs_two_documents: config.examples.pairs == crate::config::Pairs::Nsp,
        }
    }
}

/// What preparing found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Documents read.
    pub documents: u64,
    /// Documents left out because one before was the same.
    pub duplicates: u64,
    /// Documents left out because nothing was in them.
    pub empty: u64,
    /// Lines left out because they could not be used.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bad_lines: u64,
    /// Bytes of text.
    pub text_bytes: u64,
    /// Tokens to train on.
    pub tokens: u64,
    /// Of these, `[UNK]`.
    pub unknown: u64,
}

/// Left unwritten, so that a corpus prepared before such lines were counted has the same fingerprint.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A prepared corpus with its tokenizer.
pub struct Prepared {
    /// What cut it.
    pub tokenizer: BertTokenizer,
    /// The documents.
    pub corpus: Corpus,
    /// What was found.
    pub statistics: Statistics,
    /// Whether it was there already.
    pub from_cache: bool,
    /// How long it took.
    pub seconds: f64,
    /// Where it lies.
    pub directory: PathBuf,
    /// One number for its content.
    pub fingerprint: String,
}

/// A directory of the cache: the one that is there, or, where there is none or it is damaged, one that `fill` makes.
/// Whether it was there. One process makes it; others wait for that.
fn cached(directory: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<bool> {
    let shown = directory.display();
    let _lock = Lock::wait(&directory.with_extension("lock"), || {
        tell!("waiting for the process that prepares {shown}");
    })?;
    remove_leftovers_of(directory)?;
    if directory.is_dir() {
        let Some(problem) = damage(directory) else {
            return Ok(true);
        };
        log::warn!("{shown} is damaged ({problem}) and made again");
        tell!("damaged    {shown} ({problem}): it is made again");
    }
    write_checked_directory(directory, fill)?;
    Ok(false)
}

/// The tokenizer of a configuration: read, or learnt from the corpus (and kept for the next time).
///
/// # Errors
/// What reading the corpus or the tokenizer gives.
pub fn learn_or_load_tokenizer(settings: Settings<'_>) -> Result<BertTokenizer> {
    if let TokenizerConfig::Load { path } = settings.tokenizer {
        return BertTokenizer::load(path);
    }
    let key = json!([FORMAT, source_key(&settings)?, settings.tokenizer]);
    let directory = settings.cache_dir.join(format!("tokenizer-{}", hash(&key)));
    cached(&directory, |directory| {
        learn_tokenizer(&settings)?.save(directory, None)
    })?;
    BertTokenizer::load(&directory)
}

fn learn_tokenizer(settings: &Settings<'_>) -> Result<BertTokenizer> {
    let (vocab_size, lowercase, min_frequency, limit_alphabet) = match settings.tokenizer {
        TokenizerConfig::Load { path } => return BertTokenizer::load(path),
        TokenizerConfig::Train {
            vocab_size,
            lowercase,
            min_frequency,
            limit_alphabet,
        } => (*vocab_size, *lowercase, *min_frequency, *limit_alphabet),
    };
    let mut counts = WordCounts::new(lowercase);
    let progress = Progress::start(settings, "Counting words")?;
    blocks(settings, &progress.reading, |block| {
        let counted = block
            .par_chunks(block.len().div_ceil(rayon::current_num_threads()).max(1))
            .map(|documents| {
                let mut counts = WordCounts::new(lowercase);
                for document in documents {
                    for sentence in document.sentences()?.iter().flatten() {
                        counts.add(sentence);
                    }
                }
                Ok(counts)
            })
            .collect::<Vec<Result<_>>>();
        for part in counted {
            counts.merge(part?);
        }
        if counts.bytes() > MAX_COUNTED_BYTES {
            counts.prune(MAX_COUNTED_BYTES / 2);
            log::warn!("the text has so many different words that the rarest so far are forgotten");
        }
        Ok(())
    })?;
    let bad_lines = progress.reading.bad_lines.load(Ordering::Relaxed);
    drop(progress);
    if counts.is_empty() {
        return Err(empty_corpus(bad_lines));
    }
    BertTokenizer::train(&counts, vocab_size, min_frequency, limit_alphabet)
}

/// The corpus of a configuration, tokenized; kept for the next time.
///
/// # Errors
/// What reading the corpus gives, and [`Error::Usage`] where it has too few documents.
pub fn prepare(settings: Settings<'_>) -> Result<Prepared> {
    let started = Instant::now();
    let tokenizer = learn_or_load_tokenizer(settings)?;
    let key = json!([
        FORMAT,
        source_key(&settings)?,
        tokenizer.fingerprint(),
        settings.valid_fraction,
    ]);
    let directory = settings.cache_dir.join(format!("corpus-{}", hash(&key)));
    let from_cache = cached(&directory, |directory| {
        tokenize(&settings, &tokenizer, directory)
    })?;
    let vocab_size = tokenizer.vocab_size();
    let (statistics, token_counts) = read_summary(&directory, vocab_size)?;
    let corpus = Corpus {
        train: Documents::open(&directory, "train", vocab_size)?,
        valid: Documents::open(&directory, "valid", vocab_size)?,
        token_counts: token_counts.into(),
    };
    Ok(Prepared {
        tokenizer,
        corpus,
        statistics,
        from_cache,
        seconds: started.elapsed().as_secs_f64(),
        fingerprint: fingerprint(&directory)?,
        directory,
    })
}

fn tokenize(settings: &Settings<'_>, tokenizer: &BertTokenizer, directory: &Path) -> Result<()> {
    let wide = is_wide(tokenizer.vocab_size());
    let mut train = Writer::create(directory, "train", wide)?;
    let mut valid = Writer::create(directory, "valid", wide)?;
    let mut token_counts = vec![0_u64; tokenizer.vocab_size()];
    let mut statistics = Statistics::default();
    let mut seen: HashSet<u128> = HashSet::new();
    let progress = Progress::start(settings, "Tokenizing")?;
    blocks(settings, &progress.reading, |block| {
        let tokenized: Vec<Result<Option<Tokenized>>> = block
            .par_iter()
            .map(|document| Tokenized::of(document, tokenizer))
            .collect();
        for document in tokenized {
            let Some(document) = document? else {
                continue;
            };
            statistics.documents += 1;
            statistics.text_bytes += document.bytes;
            if document.sentences.is_empty() {
                statistics.empty += 1;
            } else if !seen.insert(document.text) {
                statistics.duplicates += 1;
            } else if is_held_out(document.text, settings) {
                valid.push(&document.sentences)?;
            } else {
                train.push(&document.sentences)?;
                for &id in document.sentences.iter().flatten() {
                    token_counts[id as usize] += 1;
                }
            }
        }
        Ok(())
    })?;
    let reading = progress.reading.clone();
    drop(progress);
    statistics.bad_lines = reading.bad_lines.load(Ordering::Relaxed);
    let cut = reading.cut_documents.load(Ordering::Relaxed);
    if cut > 0 {
        let most = MAX_DOCUMENT_BYTES >> 20;
        tell!("cut        longer documents were cut at {most} MiB, {cut} times");
        log::info!("longer documents were cut at {most} MiB, {cut} times");
    }
    for line in reading.first_bad_lines() {
        log::info!("bad line: {line}");
        tell!("bad line   {line}");
    }
    statistics.tokens = token_counts.iter().sum();
    statistics.unknown = token_counts[tokenizer.special().unk as usize];
    check_enough(settings, &statistics, train.documents, valid.documents)?;
    train.finish()?;
    valid.finish()?;
    let summary = json!({"statistics": statistics, "token_counts": token_counts});
    write_atomically(
        &directory.join("summary.json"),
        summary.to_string().as_bytes(),
    )
}

/// A document's word ids.
struct Tokenized {
    /// One number for its text.
    text: u128,
    /// The text's length, with a line end after each sentence.
    bytes: u64,
    /// Those of its sentences that have any.
    sentences: Vec<Vec<u32>>,
}

impl Tokenized {
    /// `None` of a row that is left out.
    fn of(document: &RawDocument, tokenizer: &BertTokenizer) -> Result<Option<Self>> {
        let Some(raw) = document.sentences()? else {
            return Ok(None);
        };
        let (mut text, mut bytes) = (Xxh3::new(), 0);
        let mut sentences = Vec::with_capacity(raw.len());
        for sentence in &raw {
            text.update(sentence.as_bytes());
            text.update(b"\n");
            bytes += sentence.len() as u64 + 1;
            let mut ids = Vec::new();
            tokenizer.append_ids(sentence, &mut ids)?;
            if !ids.is_empty() {
                sentences.push(ids);
            }
        }
        Ok(Some(Self {
            text: text.digest128(),
            bytes,
            sentences,
        }))
    }
}

/// Decided by the document's own text, so that no copy of a held-out document is trained on, and in no other way: runs
/// with different seeds hold out the same, and no run is evaluated on what another was trained on.
fn is_held_out(text: u128, settings: &Settings<'_>) -> bool {
    /// The default seed, which older runs drew by.
    const SEED: u64 = 1;
    let mixed = bert_core::data::random::derive(SEED, "valid", &[text as u64, (text >> 64) as u64]);
    ((mixed >> 11) as f64) < settings.valid_fraction * (1_u64 << 53) as f64
}

fn check_enough(
    settings: &Settings<'_>,
    statistics: &Statistics,
    train: u64,
    valid: u64,
) -> Result<()> {
    if statistics.documents == statistics.empty {
        return Err(empty_corpus(statistics.bad_lines));
    }
    let least = if settings.needs_two_documents { 2 } else { 1 };
    let (trained, held_out) = (settings.valid_fraction < 1.0, settings.valid_fraction > 0.0);
    if (!trained || train >= least) && (!held_out || valid >= least) {
        return Ok(());
    }
    let problem = if train + valid < least {
        "the corpus is a single document, and examples.pairs \"nsp\" takes random sentences from another".to_string()
    } else {
        format!(
            "of {} documents {train} are left to train on and {valid} are held out; of each there must be {least}",
            train + valid
        )
    };
    let mut help = String::from(
        "add documents, end them at blank lines (corpus.documents \"blank_line\"), change examples.valid_fraction (0 holds \
         out none)",
    );
    if settings.needs_two_documents {
        help += ", or set examples.pairs to \"sop\" or \"none\"";
    }
    Err(Error::Usage { problem, help })
}

fn empty_corpus(bad_lines: u64) -> Error {
    let but = match bad_lines {
        0 => String::new(),
        lines => format!(" but in {lines} lines that were left out"),
    };
    Error::Usage {
        problem: format!("the corpus is empty: no document has a word in it{but}"),
        help: "check corpus.paths, and corpus.field for JSON Lines".into(),
    }
}

fn read_summary(directory: &Path, vocab_size: usize) -> Result<(Statistics, Vec<u64>)> {
    let path = directory.join("summary.json");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    #[derive(Deserialize)]
    struct Summary {
        statistics: Statistics,
        token_counts: Vec<u64>,
    }
    let unusable = |problem: String, line| Error::Data {
        path: path.clone(),
        line,
        problem,
        help: "remove the directory: it is made again".into(),
    };
    let summary: Summary = serde_json::from_str(&text)
        .map_err(|error| unusable(error.to_string(), Some(error.line() as u64)))?;
    let counted = summary.token_counts.len();
    if counted != vocab_size {
        let problem = format!("it counts {counted} tokens, the vocabulary has {vocab_size}");
        return Err(unusable(problem, None));
    }
    Ok((summary.statistics, summary.token_counts))
}

/// Reads ahead on a thread of its own and hands over blocks of documents in order.
fn blocks(
    settings: &Settings<'_>,
    reading: &Arc<Reading>,
    mut each: impl FnMut(&[RawDocument]) -> Result<()>,
) -> Result<()> {
    let (sender, receiver) = sync_channel::<Vec<RawDocument>>(2);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let (mut block, mut bytes) = (Vec::new(), 0);
            let read = each_document(settings.corpus, settings.seed, reading, |document| {
                bytes += document.bytes();
                block.push(document);
                if bytes < BLOCK_BYTES {
                    return true;
                }
                bytes = 0;
                sender.send(std::mem::take(&mut block)).is_ok()
            });
            // What comes before a bad line may be bad too. Refused only where the other side has failed.
            let _ = sender.send(block);
            read
        });
        let result = receiver.iter().try_for_each(|block| each(&block));
        drop(receiver);
        let reading = match reader.join() {
            Ok(reading) => reading,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        result.and(reading)
    })
}

/// What decides the text: the configuration, and every file's path, size and time. The built-in corpus stands for
/// itself with its first documents: another version of this program may write others.
fn source_key(settings: &Settings<'_>) -> Result<serde_json::Value> {
    let mut entries = Vec::new();
    if let CorpusConfig::Sample { .. } = settings.corpus {
        for document in bert_core::sample_data::corpus(settings.seed, 8) {
            entries.push(json!(xxh3_64(document.sentences.join("\n").as_bytes())));
        }
    }
    for file in files(settings.corpus)? {
        let metadata = file.metadata().map_err(Error::io("read", &file))?;
        let modified = metadata.modified().map_err(Error::io("read", &file))?;
        let since = modified
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let name = file.to_string_lossy();
        entries.push(json!([name, metadata.len(), since.as_nanos().to_string()]));
    }
    match settings.corpus {
        CorpusConfig::Text { sentences, .. } | CorpusConfig::Jsonl { sentences, .. }
            if *sentences == Sentences::Split =>
        {
            Ok(json!([settings.corpus, entries, SPLITTING]))
        }
        _ => Ok(json!([settings.corpus, entries])),
    }
}

fn hash(key: &serde_json::Value) -> String {
    format!("{:016x}", xxh3_64(key.to_string().as_bytes()))
}

/// A bar of bytes read, where there is a terminal.
struct Progress {
    reading: Arc<Reading>,
    done: Arc<AtomicBool>,
    bar: ProgressBar,
}

impl Progress {
    fn start(settings: &Settings<'_>, what: &'static str) -> Result<Self> {
        let mut sizes = Vec::new();
        for file in files(settings.corpus)? {
            sizes.push(file.metadata().map_err(Error::io("read", &file))?.len());
        }
        let total = (!sizes.is_empty()).then(|| sizes.iter().sum());
        let template = match total {
            Some(_) => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
            None => "{msg} {bytes} {bytes_per_sec}",
        };
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        let progress = Self {
            reading: Arc::default(),
            done: Arc::default(),
            bar,
        };
        let (reading, done, bar) = (
            progress.reading.clone(),
            progress.done.clone(),
            progress.bar.clone(),
        );
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                bar.set_position(reading.bytes.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Ok(progress)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }
}
