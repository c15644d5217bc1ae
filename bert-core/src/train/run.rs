//! The launch of the learner in a run directory.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::backend::Backend;
use burn_train::{Interrupter, Learner, SupervisedTraining, TrainingStrategy};

use super::checkpoint::{Checkpoints, Position};
use super::dashboard::{About, TerminalDashboard};
use super::directory::Recipe;
use super::metrics::{DashboardMetric, MetricInfo, NoLogger, OF_STEPS, OtherValues, read_reports};
use super::plain::PlainLines;
use super::renderer::{Nothing, ReportRenderer, Show};
use super::stop::{Stop, StopOnSignals};
use super::strategy::{Components, Evaluation, LoopConfig, Outcome, SaveModel, StepStrategy};
use super::task::{BatchLoader, Task};
use crate::config::{NonFinite, write_resolved};
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

impl Dashboard {
    /// What [`Dashboard::Auto`] comes to here; the others are themselves.
    ///
    /// # Errors
    /// [`Error::Usage`] where the dashboard is asked for and there is no terminal. [`train`] gives it too; a command
    /// that prepares for long calls this first.
    pub fn resolve(self) -> Result<Self> {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Self::Auto if terminal && !dumb => Ok(Self::Tui),
            Self::Auto => Ok(Self::Plain),
            Self::Tui if !terminal => Err(Error::Usage {
                problem: "the dashboard needs a terminal for both its input and its output".into(),
                help: "leave out --dashboard, or use --dashboard plain".into(),
            }),
            other => Ok(other),
        }
    }
}

/// Everything a run needs beside its model, its optimizer and its batches.
pub struct RunSettings<B: BertAutodiffBackend, M: Task<B>> {
    /// Where it writes.
    pub run_dir: PathBuf,
    /// The loop.
    pub config: LoopConfig,
    /// The learning rate, at the position of `start`.
    pub schedule: Schedule,
    /// Where it starts: step 0, or what a checkpoint says.
    pub start: Position,
    /// That checkpoint.
    pub start_checkpoint: Option<PathBuf>,
    /// What decides its numbers.
    pub recipe: Recipe,
    /// How many checkpoints stay.
    pub keep_checkpoints: usize,
    /// What shows it.
    pub dashboard: Dashboard,
    /// Writes a model directory.
    pub save_model: SaveModel<M>,
    /// The task's metrics, for the dashboard.
    pub metrics: Vec<MetricInfo>,
    /// Makes metrics of the held-out batches, each with the values that the model gave for it; nothing of no batches.
    pub evaluation: Evaluation<M, B>,
}

/// Trains to the end of `settings.config`, or until Ctrl-C, SIGTERM, SIGHUP or the dashboard's quit, which leave a
/// checkpoint; Ctrl-C once more ends the process. Between trainings these signals do what they did when the first began, so
/// that a program with handlers of its own installs them before. The resolved configuration goes into the run directory as
/// `config.json`.
///
/// # Errors
/// [`Error::NonFinite`] and [`Error::Step`], and what writing to the run directory gives.
pub fn train<B: BertAutodiffBackend, M: Task<B>>(
    model: M,
    optimizer: BertOptimizer<B>,
    train: BatchLoader<M::Batch>,
    valid: BatchLoader<M::Batch>,
    settings: RunSettings<B, M>,
) -> Result<Outcome> {
    let dashboard = settings.dashboard.resolve()?;
    // Not before: of a run that is refused, what was there stays.
    write_resolved(
        &settings.run_dir.join("config.json"),
        &settings.recipe.config,
    )?;
    let optimizer = match settings.config.non_finite {
        NonFinite::Stop => optimizer,
        NonFinite::Skip { .. } => optimizer.with_finite_updates_only(),
    };
    let interrupter = Interrupter::new();
    let stop = Stop::new(interrupter.clone(), dashboard != Dashboard::Tui);
    let _signals = StopOnSignals::new(&stop)?;
    let display = Display {
        about: About {
            run_dir: settings.run_dir.display().to_string(),
            backend: backend_name(&model),
            parameters: model.num_params(),
            start: settings.start.step,
            steps: settings.config.steps,
            metrics: settings.metrics.clone(),
        },
        run_dir: settings.run_dir.clone(),
        stop,
    };
    let outcome = Arc::new(Mutex::new(None));
    let strategy = StepStrategy::<B, M> {
        config: settings.config,
        start: settings.start,
        start_checkpoint: settings.start_checkpoint,
        recipe: settings.recipe,
        optimizer: optimizer.clone(),
        checkpoints: Checkpoints::new(&settings.run_dir, settings.keep_checkpoints),
        run_dir: settings.run_dir.clone(),
        save_model: settings.save_model,
        evaluation: settings.evaluation,
        outcome: outcome.clone(),
    };
    let mut training = SupervisedTraining::<Components<B, M>>::new(
        &settings.run_dir,
        Arc::new(train),
        Arc::new(valid),
    )
    .with_application_logger(None)
    .with_metric_logger(NoLogger)
    .with_interrupter(interrupter)
    .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)));
    let mut known = Vec::new();
    for info in OF_STEPS {
        known.push(info.name);
        training = training.metric_train_numeric(DashboardMetric::new(info));
    }
    for info in settings.metrics {
        known.push(info.name);
        training = training
            .metric_train_numeric(DashboardMetric::new(info))
            .metric_valid_numeric(DashboardMetric::new(info));
    }
    training = training
        .metric_train(OtherValues::new(&known))
        .metric_valid(OtherValues::new(&known));
    // Opened last: from here to its drop nothing may be printed.
    let (show, terminal) = display.open(dashboard)?;
    training = training.renderer(ReportRenderer::new(show));
    let result = training.launch(Learner::new(model, optimizer, settings.schedule));
    drop(result);
    drop(terminal);
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome
        .take()
        .expect("the learner runs the strategy, which leaves its outcome")
}

/// What shows a run.
struct Display {
    about: About,
    run_dir: PathBuf,
    stop: Stop,
}

impl Display {
    /// What takes reports, and the terminal that it has until it is dropped.
    fn open(self, dashboard: Dashboard) -> Result<(Box<dyn Show>, Option<TerminalDashboard>)> {
        Ok(match dashboard {
            Dashboard::Tui => {
                let log = self.run_dir.join("experiment.log");
                let numbers = self.run_dir.join("metrics.jsonl");
                let (start, steps) = (self.about.start, self.about.steps);
                let history = move || read_reports(&numbers, start, steps);
                let terminal = TerminalDashboard::open(self.about, history, self.stop, &log)?;
                (Box::new(terminal.reports()), Some(terminal))
            }
            Dashboard::None => (Box::new(Nothing), None),
            Dashboard::Plain | Dashboard::Auto => (Box::new(PlainLines::new()), None),
        })
    }
}

/// The backend that computes and its device, as Burn calls them.
fn backend_name<B: BertAutodiffBackend, M: Task<B>>(model: &M) -> String {
    let device = model.devices().into_iter().next().unwrap_or_default();
    format!("{} {device:?}", B::InnerBackend::name(&device))
}
