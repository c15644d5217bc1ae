//! What the commands of both programs share: arguments, output, the way they end.

use std::error::Error as _;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, Parser, ValueEnum};
use log::LevelFilter;
use serde_json::{Value, json};

use crate::config::{
    BackendConfig, FromSection, Section, apply_overrides, from_value, read_value, set_backend,
};
use crate::error::{Error, Result};
use crate::tell;
use crate::train::{Dashboard, RunDirectory};

/// Reads a count of which none makes no sense, from 1.
pub fn positive() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// A configuration file, and what overrides it.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// A file like those in configs/
    pub config: PathBuf,
    /// Override a key: training.batch_tokens=1024
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// The backend.
    #[command(flatten)]
    pub backend: BackendArgs,
}

impl ConfigArgs {
    /// The configuration with `--set`, `--backend` and `--compute` applied.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Config`] with every problem.
    pub fn load<T: FromSection>(&self) -> Result<T> {
        let value = read_value(&self.config);
        let mut value = value.map_err(|error| match error {
            Error::Io { ref source, .. } => {
                let problem = format!("{error}: {source}");
                usage(problem, "name a file like those in configs/")
            }
            other => other,
        })?;
        apply_overrides(&mut value, &self.overrides)?;
        let BackendArgs { backend, compute } = &self.backend;
        set_backend(&mut value, backend.as_deref(), compute.as_deref());
        from_value(&self.config.display().to_string(), value)
    }
}

/// The backend, overriding the configuration.
#[derive(Debug, Default, Args)]
pub struct BackendArgs {
    /// ndarray or wgpu
    #[arg(long, value_parser = ["ndarray", "wgpu"])]
    pub backend: Option<String>,
    /// The type of matrix products on ndarray
    #[arg(long, value_parser = ["f32", "bf16"])]
    pub compute: Option<String>,
}

struct OnlyBackend(BackendConfig);

impl FromSection for OnlyBackend {
    fn from_section(section: &mut Section) -> Self {
        Self(section.child("backend"))
    }
}

impl BackendArgs {
    /// The backend of a command without a configuration file.
    ///
    /// # Errors
    /// [`Error::Config`] where the two do not go together.
    pub fn config(&self) -> Result<BackendConfig> {
        let mut value = json!({});
        if self.backend.is_some() || self.compute.is_some() {
            set_backend(&mut value, self.backend.as_deref(), self.compute.as_deref());
        }
        Ok(from_value::<OnlyBackend>("command line", value)?.0)
    }
}

/// Whether a run begins or goes on.
#[derive(Debug, Clone, Copy, Args)]
pub struct ResumeArgs {
    /// Go on from the newest checkpoint of the run
    #[arg(long)]
    pub resume: bool,
    /// Go on although the configuration or the data are not those of the checkpoint
    #[arg(long, requires = "resume")]
    pub accept_changes: bool,
}

impl ResumeArgs {
    /// Takes the run directory, and says on standard error what should be known of it.
    ///
    /// # Errors
    /// What [`RunDirectory::open`] gives.
    pub fn open(&self, run_dir: &Path) -> Result<RunDirectory> {
        let run = RunDirectory::open(run_dir, self.resume)?;
        if let Some(checkpoint) = run.checkpoint() {
            tell!("resumes    {}", checkpoint.display());
        }
        for remark in run.remarks() {
            tell!("           {remark}");
        }
        Ok(run)
    }

    /// Says what has changed since the checkpoint where that is accepted, and refuses it otherwise.
    ///
    /// # Errors
    /// [`Error::Usage`] with all changes.
    pub fn check(&self, run: &RunDirectory, changes: &[String]) -> Result<()> {
        if !self.accept_changes {
            return run.refuse(changes);
        }
        for change in changes {
            tell!("accepted   {change}");
            log::warn!("accepted: {change}");
        }
        Ok(())
    }
}

/// Says on standard error what the user should know of a backend before a training begins.
pub fn remark_on(backend: &BackendConfig) {
    if matches!(backend, BackendConfig::Wgpu { .. }) {
        tell!(
            "backend    wgpu: where it meets a kind of shape for the first time, it times kernels for it, which can"
        );
        tell!("           take minutes in all; what it found is kept for later runs");
    }
}

/// What shows a training.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DashboardArg {
    /// The dashboard in a terminal, lines elsewhere
    Auto,
    /// The dashboard
    Tui,
    /// A line per logged step
    Plain,
    /// Nothing
    None,
}

impl From<DashboardArg> for Dashboard {
    fn from(arg: DashboardArg) -> Self {
        match arg {
            DashboardArg::Auto => Self::Auto,
            DashboardArg::Tui => Self::Tui,
            DashboardArg::Plain => Self::Plain,
            DashboardArg::None => Self::None,
        }
    }
}

/// How much is logged, and where to.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct LogArgs {
    /// How much is logged: of a training to its experiment.log, "info" unless given; of other commands to standard error,
    /// "warn"
    #[arg(long, global = true, value_name = "LEVEL", value_parser = log_level())]
    pub log_level: Option<LevelFilter>,
}

impl LogArgs {
    /// Sends what is logged from here on to standard error.
    pub fn to_stderr(self) {
        log_to(
            std::io::stderr(),
            self.log_level.unwrap_or(LevelFilter::Warn),
        );
    }

    /// Sends what is logged from here on to the run's `experiment.log`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn to_run(self, run_dir: &Path) -> Result<()> {
        let path = run_dir.join("experiment.log");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        log_to(
            file.map_err(Error::io("open", &path))?,
            self.log_level.unwrap_or(LevelFilter::Info),
        );
        Ok(())
    }
}

fn log_level() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"])
        .try_map(|level| level.parse::<LevelFilter>())
}

/// Reads the command line. Where there is nothing to do but to end, with which code: help was printed, or what is wrong,
/// in one line as every error.
pub fn parse<C: Parser>() -> std::result::Result<C, ExitCode> {
    C::try_parse().map_err(|error| {
        if !error.use_stderr()
            || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
        let text = error.render().to_string();
        let problem = text.split("\nUsage:").next().unwrap_or_default();
        let problem = problem
            .split("\nFor more information")
            .next()
            .unwrap_or_default();
        let words: Vec<&str> = problem.split_whitespace().collect();
        tell!("{}; --help says more", words.join(" "));
        ExitCode::from(2)
    })
}

/// Ends a program: 0, or the error in one line with its causes and what to do, and [`Error::exit_code`].
pub fn end(result: Result<()>) -> ExitCode {
    let error = match result {
        Ok(()) | Err(Error::OutputClosed) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    let mut line = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        line += &format!(": {cause}");
        source = cause.source();
    }
    if let Some(help) = error.help() {
        line += &format!("; {help}");
    }
    tell!("{}", line.replace('\n', " "));
    ExitCode::from(error.exit_code())
}

/// Where what is logged goes: a command of several runs gives each its own.
static LOG: Mutex<Option<Box<dyn Write + Send>>> = Mutex::new(None);

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut *LOG.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut *LOG.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.flush(),
            None => Ok(()),
        }
    }
}

fn log_to(writer: impl Write + Send + 'static, level: LevelFilter) {
    *LOG.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(writer));
    // The second time it is there, and has another writer now.
    let _ = simplelog::WriteLogger::init(level, simplelog::Config::default(), Log);
}

/// Prints a result: JSON, or as people read it.
///
/// # Errors
/// What [`say`] gives.
pub fn print(json: bool, value: &Value, readable: impl FnOnce() -> String) -> Result<()> {
    if json { say(value) } else { say(readable()) }
}

/// A line, or several, on standard output.
///
/// # Errors
/// [`Error::Io`], and [`Error::OutputClosed`] where its reader has seen enough (`| head`): there is nothing left to do then.
pub fn say(text: impl Display) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Error::OutputClosed,
        _ => Error::io("write to", "standard output")(error),
    })
}

/// Refuses to write over what is read.
///
/// # Errors
/// [`Error::Usage`] where both are the same file, by whichever names.
pub fn check_differ(input: &Path, output: &Path) -> Result<()> {
    let [input_file, output_file] = [input, output].map(std::fs::canonicalize);
    match (input_file, output_file) {
        (Ok(input_file), Ok(output_file)) if input_file == output_file => Err(usage(
            format!("--output is the input, {}", input.display()),
            "choose another file",
        )),
        _ => Ok(()),
    }
}

/// An error in what was asked for.
pub fn usage(problem: impl Into<String>, help: impl Into<String>) -> Error {
    Error::Usage {
        problem: problem.into(),
        help: help.into(),
    }
}
