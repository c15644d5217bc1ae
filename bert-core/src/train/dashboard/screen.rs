//! The terminal of this process: taken for the dashboard, and given back whatever happens.
//!
//! There is one terminal and it can be given back from anywhere: by the dashboard at its end, by the panic hook on the
//! thread that panics, by the signal thread before it ends the process. So what is to be undone is in a static, and
//! [`restore`] may be called at any time from any thread.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::state::State;
use super::view;

/// What is drawn on.
pub(super) type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// What is to be undone, while there is something.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

/// Held by a frame on its way, so that none lands on the screen that was given back. Locked before `TAKEN`.
static DRAWING: Mutex<()> = Mutex::new(());

struct Taken {
    /// Standard error as it was, where it was turned away from the screen.
    stderr: Option<OwnedFd>,
}

fn taken() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the terminal: raw mode, the alternate screen, a panic hook. What others write to standard error while it is
/// taken, such as a graphics driver's warnings, goes to the end of the file `log` instead of into the picture.
pub(super) fn take(log: &Path) -> io::Result<Screen> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            previous(info);
        }));
    });
    let stderr = turn_stderr_to(log);
    *taken() = Some(Taken { stderr });
    let open = || {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All))?;
        let output = BufWriter::with_capacity(1 << 15, io::stdout());
        Terminal::new(CrosstermBackend::new(output))
    };
    open().inspect_err(|_| restore())
}

/// Gives the terminal back, if it is taken.
pub(in crate::train) fn restore() {
    let _drawing = wait_for_frame();
    let Some(before) = taken().take() else {
        return;
    };
    // Nothing better can be done where one of these fails than to do the others.
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    if let Some(stderr) = before.stderr {
        let _ = rustix::stdio::dup2_stderr(stderr);
    }
}

/// Waits a little for a frame on its way, not for ever: this may be the thread that panicked as it drew.
fn wait_for_frame() -> Option<MutexGuard<'static, ()>> {
    let since = Instant::now();
    loop {
        match DRAWING.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if since.elapsed() > Duration::from_millis(200) => {
                return None;
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Draws a frame. Whether it did: not where the terminal was given back.
pub(super) fn draw(screen: &mut Screen, state: &State) -> io::Result<bool> {
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    if taken().is_none() {
        return Ok(false);
    }
    screen.draw(|frame| view::draw(state, frame))?;
    Ok(true)
}

fn turn_stderr_to(log: &Path) -> Option<OwnedFd> {
    let stderr = io::stderr();
    if !stderr.is_terminal() {
        return None; // it is somewhere else already
    }
    stderr.lock().flush().ok()?;
    let before = rustix::io::fcntl_dupfd_cloexec(&stderr, 3).ok()?;
    let log = OpenOptions::new().create(true).append(true).open(log);
    rustix::stdio::dup2_stderr(log.ok()?).ok()?;
    Some(before)
}
