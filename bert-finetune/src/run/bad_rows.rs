//! Rows that cannot be used: refused, all of them at once, or left out and counted.

use bert_core::config::BadRows;
use bert_core::error::{Error, Result};
use bert_core::tell;

/// How many are shown.
const SHOWN: usize = 10;

/// The bad rows of a file so far.
pub(super) struct BadRowCount {
    policy: BadRows,
    first: Option<Error>,
    /// How many there are.
    pub(super) count: usize,
}

impl BadRowCount {
    pub(super) fn new(policy: BadRows) -> Self {
        Self {
            policy,
            first: None,
            count: 0,
        }
    }

    pub(super) fn policy(&self) -> BadRows {
        self.policy
    }

    /// The value, or nothing where the row cannot be used. Anything else that fails ends the reading.
    pub(super) fn take<T>(&mut self, row: Result<T>) -> Result<Option<T>> {
        match row {
            Ok(value) => Ok(Some(value)),
            Err(error @ Error::Data { line: Some(_), .. }) => {
                self.count += 1;
                if self.policy == BadRows::Skip || self.first.is_some() {
                    if self.count <= SHOWN {
                        log::info!("bad row: {error}");
                        tell!("bad row    {error}");
                    }
                } else {
                    self.first = Some(error);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The end of the file.
    pub(super) fn finish(self) -> Result<usize> {
        match self.first {
            Some(Error::Data {
                path,
                line,
                problem,
                help,
            }) => {
                let more = self.count - 1;
                let problem = match more {
                    0 => problem,
                    _ => format!(
                        "{problem} (and {more} more such rows, the first of which are above)"
                    ),
                };
                Err(Error::Data {
                    path,
                    line,
                    problem,
                    help,
                })
            }
            Some(error) => Err(error),
            None => Ok(self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(line: u64) -> Result<u64> {
        Err(Error::Data {
            path: "f.csv".into(),
            line: Some(line),
            problem: "ragged".into(),
            help: String::new(),
        })
    }

    #[test]
    fn refused_rows_are_counted_and_the_first_is_the_error() {
        let mut rows = BadRowCount::new(BadRows::Refuse);
        for row in [Ok(1), bad(3), Ok(2), bad(7)] {
            rows.take(row).unwrap();
        }
        let error = rows.finish().unwrap_err().to_string();
        assert!(
            error.contains("f.csv:3") && error.contains("1 more"),
            "{error}"
        );
    }

    #[test]
    fn skipped_rows_are_counted() {
        let mut rows = BadRowCount::new(BadRows::Skip);
        let kept: Vec<u64> = [Ok(1), bad(3), Ok(2)]
            .into_iter()
            .filter_map(|row| rows.take(row).unwrap())
            .collect();
        assert_eq!(kept, [1, 2]);
        assert_eq!(rows.finish().unwrap(), 1);
    }

    #[test]
    fn what_is_no_bad_row_ends_the_reading() {
        let mut rows = BadRowCount::new(BadRows::Skip);
        let error: Result<u64> = Err(Error::Usage {
            problem: "no".into(),
            help: String::new(),
        });
        assert!(rows.take(error).is_err());
    }
}
