//! The dashboard for small terminals.

use std::io::{self, Stdout};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, enable_raw_mode};

use super::terminal::{self, Keys};
use super::view::{self, Prompt};
use crate::cancellation::CancellationToken;
use crate::cli::training_state::SharedState;
use crate::panic_capture;

/// The time between two pictures without a key.
const REFRESH: Duration = Duration::from_millis(200);

/// How long to wait for the thread at the end. A terminal that does not accept output stops it.
const END: Duration = Duration::from_secs(2);

/// The compact dashboard, drawn by a thread until it is dropped.
pub(super) struct CompactDashboard {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CompactDashboard {
    /// Shows the dashboard.
    pub(super) fn start(state: SharedState, cancellation: CancellationToken) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let run = move || {
            let drawn = panic_capture::catch_message(|| show(&state, &cancellation, &ended));
            let message = match drawn {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(panic) => Some(panic),
            };
            if let Some(message) = message {
                terminal::restore_terminal();
                tracing::warn!(
                    "the dashboard failed ({message}); the training continues without it"
                );
            }
        };
        let thread = std::thread::Builder::new()
            .name("dashboard".into())
            .spawn(run);
        if let Err(error) = &thread {
            tracing::warn!("the dashboard cannot be started ({error})");
        }
        Self {
            end,
            thread: thread.ok(),
        }
    }
}

impl Drop for CompactDashboard {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            return;
        };
        let since = Instant::now();
        while !thread.is_finished() && since.elapsed() < END {
            std::thread::sleep(Duration::from_millis(5));
        }
        terminal::restore_terminal();
    }
}

/// Draws and reads keys until `end` is set or the terminal is closed.
fn show(state: &SharedState, cancellation: &CancellationToken, end: &AtomicBool) -> io::Result<()> {
    let mut screen = enter()?;
    let mut prompt = Prompt::Keys;
    while !end.load(Ordering::Relaxed) {
        if cancellation.is_cancelled() {
            prompt = Prompt::Stopping;
        }
        screen.draw(|frame| view::draw(frame, &state.lock(), prompt, Instant::now()))?;
        match terminal::wait_for_keys(REFRESH)? {
            Keys::Closed => return Ok(()),
            Keys::None => {}
            Keys::Ready => {
                // Resizes wake it too; the size is read at each drawing.
                while event::poll(Duration::ZERO)? {
                    if let Event::Key(key) = event::read()? {
                        prompt = pressed(key, prompt, cancellation);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Takes control of the terminal. The screen is not dropped, because ratatui would print a message about
/// a closed terminal to the closed terminal, which panics; [`CompactDashboard`] restores the terminal.
fn enter() -> io::Result<ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>> {
    enable_raw_mode()?;
    terminal::deliver_interrupts()?;
    execute!(io::stdout(), EnterAlternateScreen)?;
    Terminal::new(CrosstermBackend::new(io::stdout())).map(ManuallyDrop::new)
}

/// The prompt after a key. The keys are those of Burn's dashboard.
fn pressed(key: KeyEvent, prompt: Prompt, cancellation: &CancellationToken) -> Prompt {
    if key.kind == KeyEventKind::Release {
        return prompt;
    }
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let stop = prompt == Prompt::Stop && matches!(key.code, KeyCode::Char('s' | 'k' | 'y'));
    if interrupt || stop {
        cancellation.cancel();
        return Prompt::Stopping;
    }
    match (prompt, key.code) {
        (Prompt::Keys, KeyCode::Char('q')) => Prompt::Stop,
        (Prompt::Stop, KeyCode::Char('c' | 'n' | 'q') | KeyCode::Esc) => Prompt::Keys,
        _ => prompt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The prompt after `keys`, and whether the training is cancelled.
    fn after(keys: &[KeyEvent]) -> (Prompt, bool) {
        let cancellation = CancellationToken::new();
        let prompt = keys.iter().fold(Prompt::Keys, |prompt, key| {
            pressed(*key, prompt, &cancellation)
        });
        (prompt, cancellation.is_cancelled())
    }

    fn key(c: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
    }

    #[test]
    fn one_key_does_not_stop_a_training() {
        assert_eq!(after(&[key('s')]), (Prompt::Keys, false));
        assert_eq!(after(&[key('q')]), (Prompt::Stop, false));
        assert_eq!(after(&[key('q'), key('c')]), (Prompt::Keys, false));
        assert_eq!(after(&[key('q'), key('x')]), (Prompt::Stop, false));
    }

    #[test]
    fn stop_kill_and_ctrl_c_cancel_the_training() {
        assert_eq!(after(&[key('q'), key('s')]), (Prompt::Stopping, true));
        assert_eq!(after(&[key('q'), key('k')]), (Prompt::Stopping, true));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(after(&[interrupt]), (Prompt::Stopping, true));
    }
}
