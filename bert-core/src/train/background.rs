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

    /// Starts a job, after the one before it; returns what that one came to. Where that one failed this one is done all the
    /// same: there may be room on the disk by now.
    ///
    /// # Errors
    /// The error of the job before.
    pub(super) fn start(
        &mut self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let before = self.finish();
        let thread = Builder::new().name("background".into()).spawn(job);
        self.running = Some(thread.map_err(Error::io("start a thread for", "checkpoints"))?);
        before
    }

    /// What the job came to, where it is done.
    ///
    /// # Errors
    /// The job's.
    pub(super) fn done(&mut self) -> Result<Option<T>> {
        match &self.running {
            Some(running) if running.is_finished() => self.finish(),
            _ => Ok(None),
        }
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
        assert_eq!(
            background.finish().expect("the fourth all the same"),
            Some(4)
        );
        assert_eq!(background.finish().expect("nothing again"), None);
    }

    #[test]
    fn a_job_is_known_to_be_done_without_waiting_for_it() {
        let mut background = Background::new();
        assert_eq!(background.done().expect("nothing"), None);
        let (go, wait) = std::sync::mpsc::channel();
        background
            .start(move || wait.recv().map_err(|_| error()))
            .expect("the first");
        assert_eq!(background.done().expect("still running"), None);
        go.send(1).expect("it waits");
        let done = std::iter::repeat_with(|| background.done().expect("no error"));
        assert_eq!(done.flatten().next(), Some(1));
        background.start(|| Err(error())).expect("the second");
        while background.done().is_ok() {}
        assert_eq!(background.done().expect("it came out"), None);
    }
}
