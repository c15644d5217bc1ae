//! Raw text to a pre-trained BERT: vocabulary, corpus, examples, training.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | the configuration of a run |
//! | [`corpus`] | text in, tokenized documents out, larger than memory |
//! | [`examples`] | documents to masked sequences and sentence pairs |
//! | [`task`] | batches, the loss, the metrics |
//! | [`run`] | the commands |
//! | [`cli`] | their command lines |

pub mod cli;
pub mod config;
pub mod corpus;
pub mod examples;
pub mod run;
pub mod task;
