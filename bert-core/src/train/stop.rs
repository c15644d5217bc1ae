//! Asking a run to stop: first gently, then at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn_train::Interrupter;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::dashboard::screen;
use crate::error::{Error, Result};
use crate::tell;

/// What both the plain lines and the dashboard say of a stopping run.
pub(super) const STOPPING: &str = "finishing the step, then writing a checkpoint";

/// The exit code of a process that Ctrl-C ended, by the convention of shells: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

/// Asks one run to stop. Signals and the keys of the dashboard share it, so that it counts across both.
#[derive(Clone)]
pub(super) struct Stop {
    interrupter: Interrupter,
    asked: Arc<AtomicBool>,
    announce: bool,
}

impl Stop {
    /// `announce` says on standard error that the run will stop, where no dashboard says so.
    pub(super) fn new(interrupter: Interrupter, announce: bool) -> Self {
        Self {
            interrupter,
            asked: Arc::default(),
            announce,
        }
    }

    /// The run finishes its step, writes a checkpoint and leaves. Whether it was asked before.
    pub(super) fn gently(&self, reason: &str) -> bool {
        let before = self.asked.swap(true, Ordering::SeqCst);
        if !before {
            self.interrupter.stop(Some(reason));
            log::info!("{reason}: {STOPPING}");
            if self.announce {
                tell!("\n{STOPPING} (Ctrl-C again quits at once, without one)");
            }
        }
        before
    }

    /// As `gently`; asked a second time, the process ends here and now, with its terminal in order.
    pub(super) fn or_quit(&self, reason: &str) {
        if self.gently(reason) {
            screen::restore();
            std::process::exit(INTERRUPTED);
        }
    }

    /// Whether it was asked.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The runs of this process that signals stop.
static RUNS: Mutex<Vec<Stop>> = Mutex::new(Vec::new());

fn runs() -> std::sync::MutexGuard<'static, Vec<Stop>> {
    RUNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as it lives, Ctrl-C, SIGTERM and the end of its terminal stop the run.
pub(super) struct StopOnSignals(Stop);

impl StopOnSignals {
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub(super) fn new(stop: &Stop) -> Result<Self> {
        static LISTENING: OnceLock<()> = OnceLock::new();
        if LISTENING.get().is_none() {
            // A run that is to outlive its terminal, as under nohup, does; one in the background has no Ctrl-C.
            let mut stopping = vec![SIGINT, SIGTERM, SIGHUP];
            stopping.retain(|signal| action_of(*signal) != libc::SIG_IGN);
            let default = |signal: &&i32| action_of(**signal) == libc::SIG_DFL;
            let ending: Vec<i32> = stopping.iter().filter(default).copied().collect();
            let signals = signal_hook::iterator::Signals::new(stopping)
                .map_err(Error::io("listen to signals for", "this process"))?;
            if LISTENING.set(()).is_ok() {
                std::thread::spawn(move || listen(signals, &ending));
            }
        }
        runs().push(stop.clone());
        Ok(Self(stop.clone()))
    }
}

impl Drop for StopOnSignals {
    fn drop(&mut self) {
        runs().retain(|run| !Arc::ptr_eq(&run.asked, &self.0.asked));
    }
}

/// What this process does at a signal: `SIG_IGN`, `SIG_DFL`, or a function of its own.
fn action_of(signal: i32) -> libc::sighandler_t {
    // SAFETY: all zeros is a value of this structure of C; the call writes to it and changes nothing else.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action);
        action.sa_sigaction
    }
}

/// `ending` are the signals that end this process where nobody listens.
fn listen(mut signals: signal_hook::iterator::Signals, ending: &[i32]) {
    for signal in signals.forever() {
        let runs = runs().clone();
        if runs.is_empty() && ending.contains(&signal) {
            // Between runs a signal does what it would have done without us.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
        // All are asked before any may end the process.
        let asked: Vec<bool> = runs.iter().map(Stop::asked).collect();
        for (run, asked) in runs.iter().zip(asked) {
            // Terminals and supervisors repeat themselves; only a person means more by asking again.
            if asked && signal == SIGINT {
                run.or_quit("a signal");
            } else {
                run.gently("a signal");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_asked_to_stop_once_and_knows_why() {
        let interrupter = Interrupter::new();
        let stop = Stop::new(interrupter.clone(), false);
        assert!(!stop.asked());
        assert!(!stop.gently("the q key"));
        assert!(stop.asked() && interrupter.should_stop());
        assert!(stop.gently("a signal"));
        assert_eq!(interrupter.get_message().as_deref(), Some("the q key"));
    }

    #[test]
    fn signals_reach_a_run_only_while_it_lasts() {
        let stop = Stop::new(Interrupter::new(), false);
        let known = || {
            let runs = runs();
            runs.iter().any(|run| Arc::ptr_eq(&run.asked, &stop.asked))
        };
        let signals = StopOnSignals::new(&stop).unwrap();
        assert!(known());
        drop(signals);
        assert!(!known());
    }
}
