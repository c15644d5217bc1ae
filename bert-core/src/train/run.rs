//! A run directory, and the launch of the learner in it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use burn_train::renderer::tui::TuiMetricsRendererWrapper;
use burn_train::{Interrupter, Learner, SupervisedTraining, TrainingStrategy};

use super::checkpoint::{Checkpoints, Position};
use super::metrics::{DashboardMetric, MetricInfo, NoLogger, StepMetrics};
use super::renderer::{PlainRenderer, StepDashboard};
use super::strategy::{Components, LoopConfig, Outcome, StepStrategy};
use super::task::{BatchLoader, Task};
use crate::error::{Error, Result};
use crate::ops::BertAutodiffBackend;
use crate::optim::{BertOptimizer, Schedule};

/// What shows a running training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dashboard {
    /// The dashboard in a terminal, lines elsewhere.
    Auto,
    /// The dashboard.
    Tui,
    /// A line per logged step.
    Plain,
    /// Nothing.
    None,
}

/// Everything a run needs beside its model, its optimizer and its batches.
pub struct RunSettings<M> {
    /// Where it writes.
    pub run_dir: PathBuf,
    /// The loop.
    pub config: LoopConfig,
    /// The learning rate, at the position of `start`.
    pub schedule: Schedule,
    /// Where it starts: step 0, or what a checkpoint says.
    pub start: Position,
    /// How many checkpoints stay.
    pub keep_checkpoints: usize,
    /// What shows it.
    pub dashboard: Dashboard,
    /// Writes a model directory.
    #[allow(clippy::type_complexity)]
    pub save_model: Arc<dyn Fn(&M, &Path) -> Result<()> + Send + Sync>,
    /// Adds to an evaluation what the task knows beside its statistics.
    pub annotate: Arc<dyn Fn(&mut StepMetrics) + Send + Sync>,
}

/// Trains to the end of `settings.config`, or until Ctrl-C, SIGTERM or the dashboard's quit, which leave a checkpoint.
///
/// # Errors
/// [`Error::NonFinite`], and what writing to the run directory gives.
pub fn train<B: BertAutodiffBackend, M: Task<B>>(
    model: M,
    optimizer: BertOptimizer<B>,
    train: BatchLoader<M::Batch>,
    valid: BatchLoader<M::Batch>,
    settings: RunSettings<M>,
) -> Result<Outcome> {
    let interrupter = Interrupter::new();
    stop_on_signals(&interrupter)?;
    let outcome = Arc::new(Mutex::new(None));
    let strategy = StepStrategy::<B, M> {
        config: settings.config,
        start: settings.start,
        optimizer: optimizer.clone(),
        checkpoints: Checkpoints::new(&settings.run_dir, settings.keep_checkpoints),
        run_dir: settings.run_dir.clone(),
        save_model: settings.save_model,
        annotate: settings.annotate,
        outcome: outcome.clone(),
    };
    let mut training = SupervisedTraining::<Components<B, M>>::new(
        &settings.run_dir,
        Arc::new(train),
        Arc::new(valid),
    )
    .with_application_logger(None)
    .with_metric_logger(NoLogger)
    .with_interrupter(interrupter.clone())
    .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)));
    let of_steps = [
        ("learning_rate", true),
        ("gradient_norm", false),
        ("tokens_per_second", true),
    ];
    for (name, higher_is_better) in of_steps {
        let info = MetricInfo {
            name,
            higher_is_better,
        };
        training = training.metric_train_numeric(DashboardMetric::new(info));
    }
    for info in M::metric_infos() {
        training = training
            .metric_train_numeric(DashboardMetric::new(info))
            .metric_valid_numeric(DashboardMetric::new(info));
    }
    let tui = match settings.dashboard {
        Dashboard::Auto => std::io::stdout().is_terminal(),
        Dashboard::Tui => true,
        Dashboard::Plain | Dashboard::None => false,
    };
    training = if tui {
        training.renderer(StepDashboard(TuiMetricsRendererWrapper::new(
            interrupter,
            None,
        )))
    } else {
        training.renderer(PlainRenderer::new(settings.dashboard == Dashboard::None))
    };
    let result = training.launch(Learner::new(model, optimizer, settings.schedule));
    drop(result); // closes the dashboard
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome.take().unwrap_or_else(|| {
        Err(Error::Usage {
            problem: "the training loop did not run".into(),
            help: "report this as a bug".into(),
        })
    })
}

/// Lets Ctrl-C and SIGTERM finish the step, write a checkpoint and leave; a second one kills at once.
fn stop_on_signals(interrupter: &Interrupter) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(Error::io("listen to signals for", "this process"))?;
    let interrupter = interrupter.clone();
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            interrupter.stop(Some("asked to stop by a signal"));
        }
        if signals.next().is_some() {
            std::process::exit(130);
        }
    });
    Ok(())
}
