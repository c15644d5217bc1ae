//! The dashboard in a terminal: a thread that gathers reports, reads keys and draws.
//!
//! | file | what it holds |
//! |---|---|
//! | [`series`] | the history of one metric in bounded memory |
//! | [`state`] | reports folded into histories, and what the user looks at |
//! | [`view`], [`chart`] | the state as a frame |
//! | [`screen`] | the terminal, given back whatever happens |
//!
//! burn-train has a dashboard too. It counts epochs, keeps a core busy waiting, and in raw mode takes Ctrl-C for a key
//! that means nothing.

mod chart;
pub(super) mod screen;
mod series;
mod state;
mod view;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use rustix::event::{PollFd, PollFlags};

use self::screen::Screen;
pub(super) use self::state::About;
use self::state::State;
use super::renderer::{Report, Show};
use super::stop::Stop;
use crate::error::{Error, Result};

/// How long a key may wait for the thread, at most; it wakes for keys at once.
const WAKE: Duration = Duration::from_millis(200);
/// The least time from one frame to the next, unless a key asks for it: fast steps must not make it draw all the time.
const FRAME: Duration = Duration::from_millis(400);
/// The most time from one frame to the next, for the clock.
const CLOCK: Duration = Duration::from_secs(1);

/// The dashboard; its end gives the terminal back.
pub(super) struct TerminalDashboard {
    reports: Sender<Report>,
    close: Option<Sender<()>>,
    closed: Receiver<()>,
}

impl TerminalDashboard {
    /// Takes the terminal. `history` is what was reported before this process.
    ///
    /// # Errors
    /// [`Error::Usage`] where the terminal cannot be taken.
    pub(super) fn open(
        about: About,
        history: impl FnOnce() -> Vec<Report> + Send + 'static,
        stop: Stop,
        log: &Path,
    ) -> Result<Self> {
        let refused = |error: io::Error| Error::Usage {
            problem: format!("the terminal cannot show the dashboard ({error})"),
            help: "use --dashboard plain".into(),
        };
        let screen = screen::take(log).map_err(refused)?;
        let (reports, received) = channel();
        let (close, closing) = channel();
        let (closed_sender, closed) = channel();
        let thread = std::thread::Builder::new().name("dashboard".into());
        let thread = thread.spawn(move || {
            let mut state = State::new(about);
            for report in history() {
                state.remember(&report);
            }
            if let Err(error) = run(screen, state, &received, &closing, &stop) {
                log::warn!("the dashboard ended: {error}");
            }
            screen::restore();
            drop(closed_sender);
        });
        thread.inspect_err(|_| screen::restore()).map_err(refused)?;
        Ok(Self {
            reports,
            close: Some(close),
            closed,
        })
    }

    /// What training tells its numbers.
    pub(super) fn reports(&self) -> Reports {
        Reports(self.reports.clone())
    }
}

impl Drop for TerminalDashboard {
    fn drop(&mut self) {
        self.close.take();
        // Half a key sequence keeps crossterm waiting for the other half: then the terminal goes back without its leave.
        let closed = self.closed.recv_timeout(5 * WAKE);
        if closed == Err(RecvTimeoutError::Timeout) {
            screen::restore();
        }
    }
}

/// Sends reports to the thread.
pub(super) struct Reports(Sender<Report>);

impl Show for Reports {
    fn show(&mut self, report: Report) {
        let _ = self.0.send(report); // a dashboard that ended early is no reason to stop training
    }
}

fn run(
    mut screen: Screen,
    mut state: State,
    reports: &Receiver<Report>,
    closing: &Receiver<()>,
    stop: &Stop,
) -> io::Result<()> {
    let started = Instant::now();
    let (mut drawn, mut changed) = (None::<Instant>, false);
    while closing.try_recv() != Err(TryRecvError::Disconnected) {
        state.elapsed = started.elapsed();
        for report in reports.try_iter() {
            state.report(&report);
            changed = true;
        }
        changed |= state.stopping != stop.asked();
        state.stopping = stop.asked();
        let due = if changed { FRAME } else { CLOCK };
        if drawn.is_none_or(|drawn| drawn.elapsed() >= due) {
            if !screen::draw(&mut screen, &state)? {
                return Ok(()); // the terminal was given back
            }
            (drawn, changed) = (Some(Instant::now()), false);
        }
        if wait_for_key()? {
            // Keys and changes of size are answered at once.
            drawn = None;
            while event::poll(Duration::ZERO)? {
                match event::read()? {
                    Event::Key(key) if key.kind != KeyEventKind::Release => {
                        press(key, &mut state, stop);
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// Sleeps until there is something to read, or for [`WAKE`]. crossterm's own wait spins where the terminal has hung up.
fn wait_for_key() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut waited = [PollFd::new(&stdin, PollFlags::IN)];
    let wake = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: WAKE.subsec_nanos().into(),
    };
    match rustix::event::poll(&mut waited, Some(&wake)) {
        Ok(0) => event::poll(Duration::ZERO), // a change of size
        Err(rustix::io::Errno::INTR) => Ok(true),
        Ok(_) if waited[0].revents().contains(PollFlags::IN) && !hung_up(&waited[0]) => Ok(true),
        Ok(_) => Err(io::Error::other("the terminal hung up")),
        Err(error) => Err(error.into()),
    }
}

fn hung_up(waited: &PollFd) -> bool {
    waited
        .revents()
        .intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}

fn press(key: KeyEvent, state: &mut State, stop: &Stop) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => stop.or_quit("Ctrl-C"),
        KeyCode::Char('q') => {
            stop.gently("the q key");
        }
        KeyCode::Right | KeyCode::Tab => state.select(true),
        KeyCode::Left | KeyCode::BackTab => state.select(false),
        KeyCode::Up => state.zoom(true),
        KeyCode::Down => state.zoom(false),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use burn_train::Interrupter;

    use super::state::tests::fresh;
    use super::*;

    fn pressed(key: KeyEvent) -> (State, bool) {
        let interrupter = Interrupter::new();
        let stop = Stop::new(interrupter.clone(), false);
        let mut state = fresh();
        state.step = 1000;
        press(key, &mut state, &stop);
        (state, interrupter.should_stop())
    }

    #[test]
    fn q_and_ctrl_c_ask_the_run_to_stop_and_other_keys_do_not() {
        let key = KeyEvent::from;
        assert!(pressed(key(KeyCode::Char('q'))).1);
        assert!(pressed(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)).1);
        for code in [
            KeyCode::Char('c'),
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::Enter,
        ] {
            assert!(!pressed(key(code)).1, "{code:?}");
        }
    }

    #[test]
    fn q_twice_still_waits_for_the_checkpoint() {
        let stop = Stop::new(Interrupter::new(), false);
        let mut state = fresh();
        for _ in 0..2 {
            press(KeyEvent::from(KeyCode::Char('q')), &mut state, &stop);
        }
        assert!(stop.asked()); // and this process is still here
    }

    #[test]
    fn arrows_and_tab_choose_the_metric_and_the_part() {
        let name = |code: KeyCode| pressed(KeyEvent::from(code)).0.selected().name.clone();
        assert_eq!(name(KeyCode::Right), "accuracy");
        assert_eq!(name(KeyCode::Tab), "accuracy");
        assert_eq!(name(KeyCode::Left), "tokens_per_second");
        assert_eq!(name(KeyCode::BackTab), "tokens_per_second");
        let span = |code: KeyCode| pressed(KeyEvent::from(code)).0.span();
        assert_eq!(span(KeyCode::Up), (500.0, 1000.0));
        assert_eq!(span(KeyCode::Down), (0.0, 1000.0));
    }
}
