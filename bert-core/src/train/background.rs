//! Work beside the training, such as writing files: one job at a time, and none is lost.

use std::thread::{Builder, JoinHandle};

use crate::error::{Error, Result};

/// The job that runs, where one does. Dropping this waits for it.
pub(super) struct Background<T> {
    running: Option<JoinHandle<Result<T>>>,
}

impl<T: Send + 'static> Background<T> {
    /// With no job.
    pub(super) fn new() -> Self {
        Self { running: None }
    }

    /// Starts a job, after the one before it; returns what that one came to.
    ///
    /// # Errors
    /// The error of the job before.
    pub(super) fn start(
        &mut self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let before = self.finish()?;
        let thread = Builder::new().name("background".into()).spawn(job);
        self.running = Some(thread.map_err(Error::io("start a thread for", "checkpoints"))?);
        Ok(before)
    }

    /// Waits for the job, where one runs.
    ///
    /// # Errors
    /// The job's.
    pub(super) fn finish(&mut self) -> Result<Option<T>> {
        let Some(running) = self.running.take() else {
            return Ok(None);
        };
        match running.join() {
            Ok(result) => result.map(Some),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // Only where training ends with an error of its own, which is the one to report.
            let _ = running.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Error {
        Error::Usage {
            problem: "full".into(),
            help: "make room".into(),
        }
    }

    #[test]
    fn jobs_come_one_after_the_other_and_their_errors_come_out() {
        let mut background = Background::new();
        assert_eq!(background.finish().expect("nothing"), None);
        assert_eq!(background.start(|| Ok(1)).expect("the first"), None);
        assert_eq!(background.start(|| Ok(2)).expect("the second"), Some(1));
        let before = background.start(|| Err(error())).expect("the third");
        assert_eq!(before, Some(2));
        assert!(background.start(|| Ok(4)).is_err());
        assert_eq!(background.finish().expect("nothing again"), None);
    }
}
