//! What a training prints on standard error.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use burn_train::renderer::MetricsRenderer;

use super::check_table;
#[cfg(feature = "tui")]
use super::dashboard::{self, Dashboard};
use super::logging;
use super::measured_line::measured_line;
use super::output::status;
use super::progress::ProgressBars;
use super::training_renderer::TrainingRenderer;
use super::training_state::SharedState;
use crate::config::Protocol;
use crate::data::ValidationSource;
use crate::progress::{Progress, ProgressObserver};
use crate::training::{
    CheckpointPosition, EndReason, EpochRecord, Measured, RendererContext, RunFolder, RunRecord,
    TrainingEvent, TrainingObserver, TrainingSummary,
};

/// Skipped images that are named; a file system that fails would fill the screen.
const NAMED: usize = 5;

/// How a training is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Display {
    /// A dashboard in the terminal.
    Dashboard,
    /// A line per epoch.
    Lines,
}

/// Prints a line for each event, and bars for what takes long. While a dashboard is shown, it shows both
/// the progress and the epochs, and lines are printed when it is closed.
pub(super) struct TrainingOutput {
    display: Display,
    bars: Arc<ProgressBars>,
    state: SharedState,
    /// Whether a dashboard controls the terminal.
    dashboard_shown: AtomicBool,
    /// The folder of a new run, and when it was created. It is printed if the preparations take long; if
    /// they fail at once, the error is the only line.
    new_folder: Mutex<Option<(Instant, String)>>,
}

/// Preparations that take longer are announced.
const SHORT: Duration = Duration::from_secs(2);

impl TrainingOutput {
    pub(super) fn new(display: Display) -> Arc<Self> {
        Arc::new(Self {
            display,
            bars: Arc::default(),
            state: SharedState::default(),
            dashboard_shown: AtomicBool::new(false),
            new_folder: Mutex::new(None),
        })
    }

    fn new_folder(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.new_folder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn dashboard_shown(&self) -> bool {
        self.dashboard_shown.load(Ordering::Relaxed)
    }
}

impl ProgressObserver for TrainingOutput {
    fn update(&self, progress: Progress<'_>) {
        if self.dashboard_shown() {
            let Progress {
                task, done, total, ..
            } = progress;
            self.state.lock().task(task, done, total);
        } else {
            let announced = self
                .new_folder()
                .take_if(|(created, _)| created.elapsed() > SHORT);
            if let Some((_, folder)) = announced {
                logging::line(format_args!("run folder {folder}"));
            }
            self.bars.update(progress);
        }
    }

    fn finish(&self, task: &str) {
        self.bars.finish(task);
    }

    fn abandon(&self, task: &str) {
        self.bars.abandon(task);
    }
}

impl TrainingObserver for TrainingOutput {
    fn event(&self, event: TrainingEvent<'_>) {
        match event {
            TrainingEvent::FolderCreated { path } => {
                *self.new_folder() = Some((Instant::now(), path.display().to_string()));
            }
            TrainingEvent::Checked { checks } => {
                check_table::lines(checks).iter().for_each(logging::line);
            }
            TrainingEvent::Started {
                folder,
                record,
                resumed,
            } => {
                self.new_folder().take();
                self.state.lock().started(folder, resumed);
                print_start(folder, record, resumed);
            }
            TrainingEvent::LoopStarted if self.display == Display::Dashboard => {
                self.dashboard_shown.store(true, Ordering::Relaxed);
                // Lines that are written to a file do not disturb the dashboard.
                if std::io::stderr().is_terminal() {
                    logging::hold();
                }
            }
            TrainingEvent::LoopStarted => {}
            TrainingEvent::EpochRecorded { record, epochs } => {
                let now = Instant::now();
                let mut state = self.state.lock();
                state.epoch_recorded(record, epochs, now);
                if !self.dashboard_shown() {
                    logging::line(epoch_line(record, epochs, &state.figures(now)));
                }
            }
            TrainingEvent::LoopEnded => {
                #[cfg(feature = "tui")]
                if self.dashboard_shown() {
                    dashboard::close();
                }
                self.dashboard_shown.store(false, Ordering::Relaxed);
                logging::release();
            }
            TrainingEvent::ImagesSkipped { causes } => print_skipped(causes),
        }
    }

    fn renderer(&self, context: RendererContext) -> Option<Box<dyn MetricsRenderer>> {
        let RendererContext {
            epochs, resumed, ..
        } = context;
        let state = self.state.clone();
        state.lock().loop_started(epochs, resumed, Instant::now());
        let renderer = TrainingRenderer::new(state.clone());
        #[cfg(feature = "tui")]
        let renderer = match self.display {
            Display::Dashboard => renderer.with_dashboard(Dashboard::start(state, context)),
            Display::Lines => renderer.with_bars(self.bars.clone()),
        };
        #[cfg(not(feature = "tui"))]
        let renderer = renderer.with_bars(self.bars.clone());
        Some(Box::new(renderer))
    }
}

/// What is trained, on what.
fn print_start(folder: &RunFolder, record: &RunRecord, resumed: Option<CheckpointPosition>) {
    let folder = folder.path().display();
    logging::line(format_args!("run {folder} on {}", record.backend));
    logging::line(chosen_by(record));
    match resumed {
        None => {}
        Some(position) if position == CheckpointPosition::end_of(0) => {
            logging::line("resumed before the first epoch");
        }
        Some(position) => logging::line(format_args!("resumed after {position}")),
    }
}

/// The split that chooses the best epoch.
fn chosen_by(record: &RunRecord) -> &'static str {
    match record.protocol {
        Protocol::Validated if record.validation_source == Some(ValidationSource::Listed) => {
            "protocol validated: the validation classes of the list choose the best epoch, the test split is \
             measured once at the end"
        }
        Protocol::Validated => {
            "protocol validated: the validation classes choose the best epoch, the test split is measured \
             once at the end"
        }
        Protocol::Published => {
            "protocol published: the test split chooses the best epoch, as in published tables"
        }
    }
}

/// The result, and how to evaluate it.
pub(super) fn print_summary(summary: &TrainingSummary) {
    let result = &summary.result;
    let folder = summary.folder.path().display();
    let line = |measured: &Measured| measured_line(measured, " %");
    if summary.was_finished {
        status(format_args!(
            "run {folder} is finished and was not changed; train more epochs with --set \
             training.epochs=N"
        ));
    }
    if result.reason == EndReason::EarlyStopping {
        status(format_args!(
            "stopped early after epoch {}: none since epoch {} has a higher R@1, or the same with a higher MAP@R; \
             continue with --resume --set training.early_stopping=N",
            result.epochs, result.best_epoch
        ));
    }
    let split = match result.protocol {
        Protocol::Validated => "validation",
        Protocol::Published => "test",
    };
    let test = result.test_measured();
    let validation = result.validation_measured();
    let best = validation.as_ref().unwrap_or(&test);
    let epoch = result.best_epoch;
    status(format_args!(
        "untrained    {}  ({split})",
        line(&summary.untrained)
    ));
    status(format_args!(
        "best         {}  ({split}, epoch {epoch})",
        line(best)
    ));
    match result.protocol {
        Protocol::Validated => status(format_args!(
            "test         {}  (epoch {epoch}, chosen by the validation classes)",
            line(&test)
        )),
        Protocol::Published => {
            status("the best epoch was chosen by the test split (protocol published)")
        }
    }
    status(format_args!("evaluate with: loop-dml evaluate {folder}"));
}

/// The number of skipped images, and the causes of the first.
pub(super) fn print_skipped(causes: &[String]) {
    if causes.is_empty() {
        return;
    }
    logging::line(format_args!("warning: {} image(s) skipped:", causes.len()));
    for cause in causes.iter().take(NAMED) {
        logging::line(format_args!("  {cause}"));
    }
    if causes.len() > NAMED {
        logging::line(format_args!("  and {} more", causes.len() - NAMED));
    }
}

/// An epoch as a line that ends with its seconds and `figures`.
fn epoch_line(record: &EpochRecord, epochs: usize, figures: &[String]) -> String {
    let width = epochs.to_string().len();
    let mut line = match record.epoch {
        0 => format!("{:<1$}", "untrained", "epoch /".len() + 2 * width),
        epoch => format!("epoch {epoch:>width$}/{epochs}"),
    };
    let training = |key: &str| record.training.get(key).copied();
    if let Some(loss) = training("loss") {
        line += &format!("  loss {loss:.4}");
    }
    for name in ["d", "s"] {
        let hardest = |kind: &str| training(&format!("{name}_{kind}"));
        if let (Some(positive), Some(negative)) = (hardest("positive"), hardest("negative")) {
            line += &format!("  {name}+ {positive:.3}  {name}- {negative:.3}");
        }
    }
    if let Some(active) = training("active") {
        line += &format!("  active {active:5.1} %");
    }
    if let Some(measured) = record.measured() {
        line += &format!("  {}", measured_line(&measured, ""));
    }
    let seconds = [format!("{:.1} s", record.seconds)];
    line + &format!("  ({})", [&seconds, figures].concat().join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::evaluation::Recall;

    #[test]
    fn line_shows_what_the_epoch_has() {
        let mut record = EpochRecord {
            epoch: 0,
            training: BTreeMap::new(),
            recall: Some(Recall {
                at: [(1, 0.25), (2, 0.5)].into(),
                queries: 4,
            }),
            map_at_r: Some(0.125),
            seconds: 1.25,
        };
        assert_eq!(
            epoch_line(&record, 20, &[]),
            "untrained    R@1 25.00  R@2 50.00  MAP@R 12.50  (1.2 s)"
        );
        record.epoch = 3;
        record.training = [("loss".to_string(), 0.5)].into();
        record.recall = None;
        let figures = ["533 images/s", "20 s left"].map(String::from);
        assert_eq!(
            epoch_line(&record, 20, &figures),
            "epoch  3/20  loss 0.5000  (1.2 s, 533 images/s, 20 s left)"
        );
    }
}
