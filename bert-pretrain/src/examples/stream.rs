//! The endless sequence of training batches, and the place in it.
//!
//! An epoch visits the sections of all documents in an order drawn for it. They are taken in pools, equal runs of that
//! order, of about [`POOL_BATCHES`] batches each; a pool's examples are made in parallel, shuffled, grouped by length
//! and handed out batch by batch in random order. So memory stays at one pool, and a batch is a function of (seed,
//! epoch, pool, batch): resuming makes one pool anew and nothing else.
//!
//! Is a batch of equal lengths a biased one? Its documents are not: a pool mixes at least [`POOL_SECTIONS`] of them.
//! Length does say something of the text (ends of documents are short, and more often true pairs than random ones),
//! but full-length examples are the bulk, equal lengths are in random order before they are grouped, and batches of
//! all lengths follow each other in random order, so that the expected gradient is that of all examples.

use std::sync::Arc;

use bert_core::data::random::generator;
use bert_core::error::{Error, Result};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sections::{Sections, sections};
use super::{Example, ExampleSettings, Vocabulary, into_batches};
use crate::config::{ExamplesConfig, Pairs};
use crate::corpus::DocumentStore;

/// Long documents are cut into sections of this many sentences: enough that few examples (one in some thirty at 512
/// tokens) end early at a cut, few enough that a pool has many sections.
const SECTION_SENTENCES: usize = 512;

/// Batches of a pool, about: sorting by length needs many to make them homogeneous, and the pool is held in memory.
const POOL_BATCHES: usize = 64;

/// The fewest sections of a pool, where the corpus has them: a batch should not come from one or two documents.
const POOL_SECTIONS: usize = 16;

/// How many sections tell the average length. An estimate is enough, and reading a large corpus through is slow.
const SAMPLED_SECTIONS: usize = 4096;

/// The place of a batch in the stream; in a checkpoint, that of the batch to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Passes over the corpus before it.
    pub epoch: u64,
    /// Pools of the epoch before it.
    pub pool: u64,
    /// Batches of the pool before it.
    pub batch: u64,
}

/// Training batches without end; see the module for their order.
///
/// It owns what it needs, so that it can be moved to a thread that prepares batches ahead.
#[derive(Clone)]
pub struct BatchStream<S> {
    store: Arc<S>,
    vocabulary: Arc<Vocabulary>,
    settings: ExampleSettings,
    seed: u64,
    batch_tokens: usize,
    sections: Arc<Sections>,
    pools: u64,
    /// The order of the sections in an epoch.
    order: Option<(u64, Vec<u32>)>,
    /// The batches of a pool of an epoch. They are handed out as copies, which cost nothing beside a training step, so
    /// that the pool serves any place in it.
    pool: Option<(u64, u64, Vec<Vec<Example>>)>,
    cursor: Cursor,
}

impl<S: DocumentStore + Send> BatchStream<S> {
    /// The stream from its beginning. Batches have at most `batch_tokens` tokens, unless a single example has more.
    ///
    /// # Errors
    /// [`Error::Usage`] when the settings or the store allow no example of the kind asked for.
    pub fn new(
        store: Arc<S>,
        config: &ExamplesConfig,
        vocabulary: Arc<Vocabulary>,
        seed: u64,
        batch_tokens: usize,
    ) -> Result<Self> {
        if batch_tokens == 0 {
            return Err(Error::Usage {
                problem: "training.batch_tokens is 0: a batch holds one token at least".into(),
                help: "set training.batch_tokens to some thousands".into(),
            });
        }
        let settings = ExampleSettings::new(config)?;
        settings.check_store(store.as_ref())?;
        let sections = sections(store.as_ref(), SECTION_SENTENCES)?;
        let average = sections.average_tokens(store.as_ref(), SAMPLED_SECTIONS);
        let tokens = average * sections.len() as f64;
        let wanted = tokens / (POOL_BATCHES as f64 * batch_tokens as f64);
        let pools =
            (wanted.round() as u64).clamp(1, (sections.len() / POOL_SECTIONS).max(1) as u64);
        let mut stream = Self {
            store,
            vocabulary,
            settings,
            seed,
            batch_tokens,
            sections: Arc::new(sections),
            pools,
            order: None,
            pool: None,
            cursor: Cursor::default(),
        };
        // What gave an example once will again, so the search for the next batch comes to an end.
        if !(0..stream.pools).any(|pool| stream.batches(0, pool) > 0) {
            return Err(Error::Usage {
                problem: "the corpus gives no example: all its words are unknown to the tokenizer"
                    .into(),
                help: "train a tokenizer on this corpus (tokenizer.type: train)".into(),
            });
        }
        Ok(stream)
    }

    /// Goes to a place that [`BatchStream::cursor`] gave: with the same corpus, settings and seed exactly the batches that
    /// followed then follow again. Whether there is such a place; where there is none, as with another corpus or other
    /// batches, it goes to the beginning of the next epoch.
    pub fn go_to(&mut self, cursor: Cursor) -> bool {
        let exists = cursor.pool < self.pools
            && (cursor.batch == 0 || cursor.batch < self.batches(cursor.epoch, cursor.pool));
        self.cursor = if exists {
            cursor
        } else {
            Cursor {
                epoch: cursor.epoch + 1,
                ..Cursor::default()
            }
        };
        exists
    }

    /// The number of batches of an epoch, judged by the pool in memory.
    pub fn batches_an_epoch(&self) -> u64 {
        let in_memory = self
            .pool
            .as_ref()
            .map_or(0, |(_, _, batches)| batches.len());
        self.pools * in_memory as u64
    }

    /// The share of the text that examples have no room for, of the pool in memory.
    pub fn cut_share(&self) -> f64 {
        let (mut kept, mut cut) = (0, 0);
        let batches = self.pool.iter().flat_map(|(_, _, batches)| batches);
        for example in batches.flatten() {
            kept += match example.origin.random_document {
                Some(_) => example.token_type_ids.iter().filter(|id| **id == 0).count(),
                None => example.input_ids.len(),
            };
            cut += example.origin.cut_tokens;
        }
        cut as f64 / (kept + cut).max(1) as f64
    }

    /// The share of examples whose second half is random, of the pool in memory; `None` where the objective has no such.
    pub fn random_pairs(&self) -> Option<f64> {
        let (_, _, batches) = self.pool.as_ref()?;
        let examples = batches.iter().flatten();
        let random = examples
            .clone()
            .filter(|example| example.origin.random_document.is_some());
        (self.settings.pairs == Pairs::Nsp)
            .then(|| random.count() as f64 / examples.count().max(1) as f64)
    }

    /// The place of the next batch.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next batch and its place. Epochs follow each other without a seam.
    pub fn next_batch(&mut self) -> (Vec<Example>, Cursor) {
        loop {
            let place = self.cursor;
            let batches = self.batches(place.epoch, place.pool);
            self.cursor = if place.batch + 1 < batches {
                Cursor {
                    batch: place.batch + 1,
                    ..place
                }
            } else if place.pool + 1 < self.pools {
                Cursor {
                    pool: place.pool + 1,
                    batch: 0,
                    ..place
                }
            } else {
                Cursor {
                    epoch: place.epoch + 1,
                    pool: 0,
                    batch: 0,
                }
            };
            // A pool is empty when its documents have one sentence only (sop) or unknown words only.
            if place.batch < batches
                && let Some((_, _, batches)) = &self.pool
            {
                return (batches[place.batch as usize].clone(), place);
            }
        }
    }

    /// Makes a pool, unless it is the one in memory, and returns its number of batches.
    fn batches(&mut self, epoch: u64, pool: u64) -> u64 {
        match &self.pool {
            Some((of_epoch, of_pool, batches)) if (*of_epoch, *of_pool) == (epoch, pool) => {
                batches.len() as u64
            }
            _ => {
                self.pool = None; // its memory is free before the new one is made
                let batches = self.make_pool(epoch, pool);
                let count = batches.len() as u64;
                self.pool = Some((epoch, pool, batches));
                count
            }
        }
    }

    fn make_pool(&mut self, epoch: u64, pool: u64) -> Vec<Vec<Example>> {
        let order = match self.order.take() {
            Some((of_epoch, order)) if of_epoch == epoch => order,
            _ => self.epoch_order(epoch),
        };
        let bound =
            |pool: u64| (u128::from(pool) * order.len() as u128 / u128::from(self.pools)) as usize;
        let mut examples: Vec<Example> = order[bound(pool)..bound(pool + 1)]
            .par_iter()
            .flat_map_iter(|&index| {
                let section = self.sections.get(index as usize);
                self.settings.examples(
                    self.store.as_ref(),
                    &self.vocabulary,
                    section,
                    self.seed,
                    epoch,
                )
            })
            .collect();
        self.order = Some((epoch, order));

        let mut random = generator(self.seed, "pool", &[epoch, pool]);
        examples.shuffle(&mut random);
        let mut batches = into_batches(examples, self.batch_tokens);
        batches.shuffle(&mut random);
        batches
    }

    fn epoch_order(&self, epoch: u64) -> Vec<u32> {
        // Sections are counted in 32 bits: 2^32 of them would need 48 GiB for their places alone.
        let mut order: Vec<u32> = (0..self.sections.len() as u32).collect();
        order.shuffle(&mut generator(self.seed, "epoch order", &[epoch]));
        order
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
