//! A pre-trained BERT to answers: fine-tuning, its metrics, predictions. [`Predictor`] answers in programs of one's own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | the configuration of a run |
//! | [`data`] | readers of labelled files |
//! | [`tasks`] | from rows to examples, from scores to answers and metrics |
//! | [`metrics`] | each as its field's reference computes it |
//! | [`examples`], [`epochs`] | what the model is trained on, and in which order |
//! | [`model`] | a model with its head and its loss |
//! | [`run`] | the commands |
//! | [`cli`] | their arguments |

pub mod cli;
pub mod config;
pub mod data;
pub mod epochs;
pub mod examples;
pub mod metrics;
pub mod model;
pub mod run;
pub mod tasks;

pub use run::Predictor;
