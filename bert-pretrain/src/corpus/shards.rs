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
use rayon::prelude::*;

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
    /// Maps the files of a split, and sees that every document, sentence and id is within its bounds.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Data`] where they are not.
    pub fn open(directory: &Path, split: &str, vocab_size: usize) -> Result<Self> {
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
            wide: is_wide(vocab_size),
        };
        opened.check(vocab_size).map_err(|problem| Error::Data {
            path: directory.to_path_buf(),
            line: None,
            problem: format!("this prepared corpus is not whole: {problem} of {split}"),
            help: "remove the directory: it is made again".into(),
        })?;
        Ok(opened)
    }

    fn check(&self, vocab_size: usize) -> std::result::Result<(), &'static str> {
        let width = if self.wide { 4 } else { 2 };
        if !self.ids.len().is_multiple_of(width) {
            return Err("the ids");
        }
        if !divides(&self.sentences, self.ids.len() / width) {
            return Err("the sentences");
        }
        if !divides(&self.documents, ends(&self.sentences).len()) {
            return Err("the documents");
        }
        let largest = if self.wide {
            let ids = bytemuck::cast_slice::<u8, u32>(&self.ids);
            ids.par_iter().copied().max()
        } else {
            let ids = bytemuck::cast_slice::<u8, u16>(&self.ids);
            ids.par_iter().copied().max().map(u32::from)
        };
        match largest {
            Some(id) if id as usize >= vocab_size => Err("an id"),
            _ => Ok(()),
        }
    }

    /// The number of tokens.
    pub fn tokens(&self) -> u64 {
        self.ids.len() as u64 / if self.wide { 4 } else { 2 }
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

/// Whether ends are those of consecutive pieces, none of them empty, that make up `whole`.
fn divides(map: &Mmap, whole: usize) -> bool {
    let ends = ends(map);
    let ascending = ends.par_windows(2).all(|pair| pair[0] < pair[1]);
    map.len().is_multiple_of(8)
        && ascending
        && ends.first() != Some(&0)
        && ends.last().copied().unwrap_or(0) == whole as u64
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_that_is_out_of_bounds_anywhere_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let write = || {
            let mut writer = Writer::create(directory.path(), "train", false).unwrap();
            writer.push(&[vec![5, 6, 7], vec![8]]).unwrap();
            writer.push(&[vec![9]]).unwrap();
            writer.finish().unwrap();
        };
        let open = |vocab_size| Documents::open(directory.path(), "train", vocab_size);
        write();
        assert!(open(10).is_ok());
        let refused = |vocab_size, part: &str| {
            let error = open(vocab_size).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused(9, "an id");
        let spoil = |file: &str, at: usize, value: u8| {
            write();
            let path = directory.path().join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] = value;
            std::fs::write(&path, bytes).unwrap();
        };
        for (file, at, value, part) in [
            ("train.sentences", 0, 0, "the sentences"),
            ("train.sentences", 0, 4, "the sentences"),
            ("train.sentences", 16, 6, "the sentences"),
            ("train.sentences", 15, 0x80, "the sentences"),
            ("train.documents", 0, 3, "the documents"),
            ("train.documents", 8, 2, "the documents"),
            ("train.ids", 3, 1, "an id"),
        ] {
            spoil(file, at, value);
            refused(10, part);
        }
        for (part, file) in [
            ("the ids", "train.ids"),
            ("the documents", "train.documents"),
        ] {
            write();
            let path = directory.path().join(file);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
            refused(10, part);
        }
    }
}
