//! Kills real training processes at random moments, resumes them, and compares what they come to with a run that nobody
//! disturbed. `BERT_CRASH_KILLS` says how many kills a test does; 50 take about two minutes.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use bert_core::data::random::generator;
use rand::Rng;
use serde_json::Value;

/// Sets up directories with `prepare` and has `program` train there, as `c.json` says, into `run`: in one of them
/// undisturbed, in as many others as it takes killing often, by SIGKILL mostly and by SIGTERM and Ctrl-C at times.
pub(crate) fn survive_kills(prepare: &dyn Fn(&Path), program: &str) {
    let start = |root: &Path, resume: bool| {
        let mut command = Command::new(program);
        command
            .current_dir(root)
            .args(["train", "c.json", "--dashboard", "plain"]);
        if resume {
            command.arg("--resume");
        }
        quiet(command)
    };
    let kills = std::env::var("BERT_CRASH_KILLS").ok();
    let kills: usize = kills.map_or(6, |kills| kills.parse().expect("a number of kills"));
    let undisturbed = tempfile::tempdir().unwrap();
    prepare(undisturbed.path());
    let started = Instant::now();
    let status = start(undisturbed.path(), false).wait().unwrap();
    assert!(status.success(), "the undisturbed run failed");
    let duration = started.elapsed();
    let expected = outcome(undisturbed.path());

    let mut random = generator(kills as u64, "kills", &[]);
    let mut done = 0;
    while done < kills {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path());
        for attempt in 0.. {
            let mut child = start(root.path(), attempt > 0);
            if done < kills {
                std::thread::sleep(duration.mul_f64(random.random_range(0.0..1.1)));
                if child.try_wait().unwrap().is_none() {
                    let signal =
                        ["-KILL", "-KILL", "-KILL", "-TERM", "-INT"][random.random_range(0..5)];
                    kill(&child, signal);
                    done += 1;
                }
            }
            let ended = child.wait().unwrap();
            // An interrupted run ends well too; only one that has its results is at its end.
            if ended.success() && root.path().join("run/model").exists() {
                break;
            }
            let by_signal = std::os::unix::process::ExitStatusExt::signal(&ended).is_some();
            assert!(
                by_signal || ended.success(),
                "attempt {attempt} failed by itself: {ended}"
            );
        }
        // A process that was killed after the model was there may have had more to do.
        let last = start(root.path(), true).wait().unwrap();
        assert!(last.success(), "resuming a finished run failed");
        compare(&expected, &outcome(root.path()));
    }
    println!("{done} kills survived; an undisturbed run takes {duration:.1?}");
}

fn quiet(mut command: Command) -> Child {
    let log = PathBuf::from(command.get_current_dir().unwrap()).join("output.txt");
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    child.spawn().unwrap()
}

fn kill(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    // It may have ended meanwhile.
    let _ = Command::new("kill")
        .args([signal, &pid])
        .stderr(Stdio::null())
        .status();
}

/// What a run directory holds: its files, of checkpoints the last one's, and the rows of `metrics.jsonl`; all
/// without what was timed.
struct Outcome {
    files: BTreeMap<String, Vec<u8>>,
    metrics: Vec<Value>,
}

fn outcome(root: &Path) -> Outcome {
    let run = root.join("run");
    let mut files = BTreeMap::new();
    collect(&run, &run, &mut files);
    let checkpoints = files
        .keys()
        .filter_map(|name| name.strip_prefix("checkpoints/"));
    let last = checkpoints.filter_map(|name| name.split('/').next()).max();
    let last = format!("checkpoints/{}/", last.expect("a checkpoint"));
    // The one before it may be of an interruption.
    files.retain(|name, _| !name.starts_with("checkpoints/") || name.starts_with(&last));
    for (name, bytes) in &mut files {
        let is = |file: &str| name.ends_with(file);
        if is("position.json") {
            let mut position: Value = serde_json::from_slice(bytes).unwrap();
            for time in ["seconds", "waited"] {
                position["window"][time].take();
            }
            *bytes = position.to_string().into_bytes();
        } else if is("checksums.xxh128")
            || is("experiment.log")
            || is("metrics.jsonl")
            || is(".lock")
        {
            bytes.clear();
        }
    }
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rows = metrics.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        let row_map = row.as_object_mut().unwrap();
        row_map.remove("tokens_per_second");
        row_map.remove("wait_fraction");
        row
    });
    Outcome {
        metrics: rows.collect(),
        files,
    }
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

fn compare(expected: &Outcome, found: &Outcome) {
    assert_eq!(expected.metrics, found.metrics, "metrics.jsonl");
    let names = |outcome: &Outcome| outcome.files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(expected),
        names(found),
        "the files of the run directory"
    );
    for (name, bytes) in &expected.files {
        assert!(
            *bytes == found.files[name],
            "{name} is not that of the undisturbed run"
        );
    }
}
