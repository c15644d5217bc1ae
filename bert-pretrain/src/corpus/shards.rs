//! A tokenized corpus on disk: flat arrays, memory-mapped.
//!
//! Per split, `ids` holds the word ids of all sentences end to end (u16 where the vocabulary allows it, u32 otherwise),
//! `sentences` the end of each sentence in `ids`, `documents` the end of each document in `sentences` (u64, little
//! endian).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bert_core::error::{Error, Result};
use memmap2::Mmap;

use super::DocumentStore;

/// The documents of one split.
#[derive(Clone)]
pub struct Documents {
    ids: Arc<Mmap>,
    sentences: Arc<Mmap>,
    documents: Arc<Mmap>,
    wide: bool,
}

/// A prepared corpus.
#[derive(Clone)]
pub struct Corpus {
    /// For training.
    pub train: Documents,
    /// Held out.
    pub valid: Documents,
    /// How often each word id occurs in `train`.
    pub token_counts: Arc<[u64]>,
}

/// Whether a vocabulary needs u32 ids.
pub(super) fn is_wide(vocab_size: usize) -> bool {
    vocab_size > 1 << 16
}

/// The three files of one split.
fn paths(directory: &Path, split: &str) -> [PathBuf; 3] {
    ["ids", "sentences", "documents"].map(|part| directory.join(format!("{split}.{part}")))
}

impl Documents {
    pub(super) fn open(directory: &Path, split: &str, wide: bool) -> Result<Self> {
        let map = |path: PathBuf| {
            let file = File::open(&path).map_err(Error::io("read", &path))?;
            // SAFETY: the cache directory is written once under a temporary name and renamed into place; nothing in
            // this program writes to its files again. Another program that truncates one while it is mapped would end
            // this process with a signal, as with any memory-mapped file.
            let map = unsafe { Mmap::map(&file) };
            Ok(Arc::new(map.map_err(Error::io("map", &path))?))
        };
        let [ids, sentences, documents] = paths(directory, split);
        let opened = Self {
            ids: map(ids)?,
            sentences: map(sentences)?,
            documents: map(documents)?,
            wide,
        };
        let width = if wide { 4 } else { 2 };
        let sentences_end = ends(&opened.documents).last().copied().unwrap_or(0);
        let ids_end = ends(&opened.sentences).last().copied().unwrap_or(0);
        let whole = opened.sentences.len() as u64 == sentences_end * 8
            && opened.ids.len() as u64 == ids_end * width
            && opened.documents.len().is_multiple_of(8);
        if whole {
            return Ok(opened);
        }
        Err(Error::Data {
            path: directory.to_path_buf(),
            line: None,
            problem: "this prepared corpus is not whole".into(),
            help: "remove the directory: it is made again".into(),
        })
    }

    /// The number of tokens.
    pub fn tokens(&self) -> u64 {
        self.ids.len() as u64 / if self.wide { 4 } else { 2 }
    }

    /// The number of sentences.
    pub fn all_sentences(&self) -> usize {
        ends(&self.sentences).len()
    }

    fn sentence_range(&self, document: usize, sentence: usize) -> std::ops::Range<usize> {
        let index = start(ends(&self.documents), document) + sentence;
        let ends = ends(&self.sentences);
        start(ends, index)..ends[index] as usize
    }
}

fn ends(map: &Mmap) -> &[u64] {
    // A map begins on a page, and its length was checked (an unwhole one shows as an empty list of ends).
    bytemuck::try_cast_slice(map).unwrap_or(&[])
}

fn start(ends: &[u64], index: usize) -> usize {
    index
        .checked_sub(1)
        .map_or(0, |before| ends[before] as usize)
}

impl DocumentStore for Documents {
    fn documents(&self) -> usize {
        ends(&self.documents).len()
    }

    fn sentences(&self, document: usize) -> usize {
        let ends = ends(&self.documents);
        ends[document] as usize - start(ends, document)
    }

    fn sentence_tokens(&self, document: usize, sentence: usize) -> usize {
        self.sentence_range(document, sentence).len()
    }

    fn append_sentence(&self, document: usize, sentence: usize, ids: &mut Vec<u32>) {
        let range = self.sentence_range(document, sentence);
        if self.wide {
            ids.extend_from_slice(&bytemuck::cast_slice::<u8, u32>(&self.ids)[range]);
        } else {
            let narrow = &bytemuck::cast_slice::<u8, u16>(&self.ids)[range];
            ids.extend(narrow.iter().map(|&id| u32::from(id)));
        }
    }
}

/// Writes one split.
pub(super) struct Writer {
    files: [(PathBuf, BufWriter<File>); 3],
    wide: bool,
    ids: u64,
    sentences: u64,
    pub(super) documents: u64,
}

impl Writer {
    pub(super) fn create(directory: &Path, split: &str, wide: bool) -> Result<Self> {
        let create = |path: PathBuf| {
            let file = File::create(&path).map_err(Error::io("create", &path))?;
            Ok((path, BufWriter::with_capacity(1 << 20, file)))
        };
        let [ids, sentences, documents] = paths(directory, split);
        Ok(Self {
            files: [create(ids)?, create(sentences)?, create(documents)?],
            wide,
            ids: 0,
            sentences: 0,
            documents: 0,
        })
    }

    /// Appends a document of at least one sentence of at least one id.
    pub(super) fn push(&mut self, sentences: &[Vec<u32>]) -> Result<()> {
        for sentence in sentences {
            if self.wide {
                self.write(0, bytemuck::cast_slice(sentence))?;
            } else {
                let narrow: Vec<u16> = sentence.iter().map(|&id| id as u16).collect();
                self.write(0, bytemuck::cast_slice(&narrow))?;
            }
            self.ids += sentence.len() as u64;
            self.write(1, &self.ids.to_le_bytes())?;
        }
        self.sentences += sentences.len() as u64;
        self.write(2, &self.sentences.to_le_bytes())?;
        self.documents += 1;
        Ok(())
    }

    fn write(&mut self, part: usize, bytes: &[u8]) -> Result<()> {
        let (path, file) = &mut self.files[part];
        file.write_all(bytes).map_err(Error::io("write", path))
    }

    pub(super) fn finish(self) -> Result<()> {
        for (path, file) in self.files {
            let file = file
                .into_inner()
                .map_err(|error| Error::io("write", &path)(error.into_error()))?;
            file.sync_all().map_err(Error::io("write", &path))?;
        }
        Ok(())
    }
}
