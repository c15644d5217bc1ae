//! Readers of labelled data files: strict, one record at a time, with errors that name file and line.
//!
//! | file | what it holds |
//! |---|---|
//! | `cells.rs` | the cells of one CSV or TSV record |
//! | `message.rs` | file content as it is shown in messages, and the nearest name |
//! | `characters.rs` | places in a text, counted in characters |
//! | [`table`] | rows of JSON Lines, CSV and TSV |
//! | [`mod@array`] | rows of one array of JSON |
//! | [`input`] | rows of any file, plain lines included |
//! | `whole.rs` | the text of a file that has to be read whole |
//! | [`conll`] | sentences of words and tags, in columns |
//! | [`squad`] | SQuAD 1.1 and 2.0 |
//! | [`labels`] | label names and their numbers |
//! | [`split`] | which rows are held out for validation |
//!
//! [`table`], [`input`] and [`conll`] hold one record in memory, but all of an array, and refuse a line of more than 8 MiB. After an error that
//! concerns one record they go on with the next, so that a caller can count and skip; after an error
//! of the operating system they end.

pub mod array;
pub(crate) mod cells;
pub(crate) mod characters;
pub mod conll;
pub mod input;
pub mod labels;
pub(crate) mod message;
pub mod split;
pub mod squad;
pub mod table;
mod whole;
