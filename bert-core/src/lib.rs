//! BERT on [Burn](https://burn.dev): models, tokenizer, optimizers, the training loop and model directories.
//!
//! Read it from the bottom up; every module uses only those above it in this list:
//!
//! | module | what it holds |
//! |---|---|
//! | [`error`], [`files`] | what can fail; files that are never half written |
//! | [`console`] | what a user is told on standard error |
//! | [`config`] | strict JSON configurations |
//! | [`data`] | deterministic randomness, packed batches |
//! | [`ops`] | the operations of BERT, each with its backward step |
//! | [`nn`], [`model`] | the layers and the models, named as in checkpoints |
//! | [`loss`] | the losses of fine-tuning heads |
//! | [`optim`] | AdamW and LAMB with global-norm clipping, learning-rate schedules |
//! | [`tokenizer`] | WordPiece: learning, reading, writing and using it |
//! | [`weights`] | model directories, with Hugging Face's names and layout |
//! | [`train`] | the training loop in burn-train's learner, its checkpoints and its dashboard |
//! | [`backend`] | from a configuration to a concrete backend |
//! | `command` | what the programs' commands share; with the feature of that name |
//! | `allocator` | [`use_jemalloc!`], the allocator for programs that train |
//! | [`sample_data`] | the built-in corpus and labelled sets |
//!
//! A program of its own, which gives texts a vector each:
//!
//! ```no_run
//! use bert_core::backend::{Job, run_on};
//! use bert_core::config::BackendConfig;
//! use bert_core::data::packed::PackedSequences;
//! use bert_core::error::Result;
//! use bert_core::model::BertModel;
//! use bert_core::nn::{Init, mean_pooled};
//! use bert_core::ops::{BertAutodiffBackend, DropoutKey};
//! use bert_core::weights::ModelDirectory;
//!
//! struct Embed<'a>(&'a ModelDirectory, &'a [&'a str]);
//!
//! impl Job for Embed<'_> {
//!     type Output = Vec<f32>;
//!
//!     fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<f32>> {
//!         let ModelDirectory { config, tokenizer, .. } = self.0;
//!         let init = Init::<B::InnerBackend>::new(config, 0, &device);
//!         let model = self.0.load_whole(BertModel::new(config, &init), &[], &device)?;
//!         let mut texts = PackedSequences::default();
//!         for text in self.1 {
//!             let encoding = tokenizer.encode_truncated(text, None, config.max_position_embeddings)?;
//!             texts.push(&encoding.input_ids, &encoding.token_type_ids);
//!         }
//!         let batch = texts.to_device(&device);
//!         let states = model.forward_states(&batch, &DropoutKey::inference());
//!         Ok(mean_pooled(states, &batch.sequences).into_data().iter().collect())
//!     }
//! }
//!
//! fn main() -> Result<()> {
//!     let directory = ModelDirectory::open("runs/quickstart/model")?;
//!     let vectors = run_on(&BackendConfig::default(), Embed(&directory, &["A text.", "Another."]))?;
//!     println!("{} numbers", vectors.len());
//!     Ok(())
//! }
//! ```

mod allocator;
pub mod backend;
#[cfg(feature = "command")]
pub mod command;
pub mod config;
pub mod console;
pub mod data;
pub mod error;
pub mod files;
pub mod loss;
pub mod model;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod sample_data;
pub mod tokenizer;
pub mod train;
pub mod weights;

/// For [`use_jemalloc!`].
#[cfg(not(target_env = "msvc"))]
#[doc(hidden)]
pub use tikv_jemallocator;

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_shows_the_program_that_is_tested_here() {
        let read = |path: &str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            std::fs::read_to_string(path).unwrap()
        };
        let lines = include_str!("lib.rs").lines();
        let lines = lines.skip_while(|line| *line != "//! ```no_run").skip(1);
        let lines = lines.take_while(|line| *line != "//! ```");
        let line = |line: &str| {
            line.trim_start_matches("//!")
                .trim_start_matches(' ')
                .to_string()
        };
        let program: Vec<String> = lines.map(line).collect();
        let readme = read("../README.md");
        let shown = readme.split("```rust\n").nth(2).unwrap();
        let shown = shown.split("```").next().unwrap();
        let shown: Vec<String> = shown.lines().map(|line| line.trim_start().into()).collect();
        assert_eq!(shown, program);
    }
}
