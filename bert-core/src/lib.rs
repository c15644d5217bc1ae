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
