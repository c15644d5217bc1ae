//! `features`: hidden states, pooled vectors and scores of rows of texts or ids.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use bert_core::backend::Job;
use bert_core::config::{BackendConfig, BertConfig};
use bert_core::data::packed::{PackedSequences, ids};
use bert_core::error::{Error, Result};
use bert_core::files::write_atomically_with;
use bert_core::model::BertForPreTraining;
use bert_core::ops::{BertAutodiffBackend, BertBackend, DropoutKey};
use bert_core::tokenizer::BertTokenizer;
use bert_core::weights::{Part, ValueWriter, read_config, write_safetensors};
use burn::tensor::Tensor;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::{check_vocabulary, load};
use super::{on, print, usage};
use crate::cli::{FeaturesArgs, Head, Pooling};

/// Rows sorted by length at a time, in batches: enough for batches of like lengths, few enough to keep in memory.
const POOLED_BATCHES: usize = 16;
/// Scores of words kept at a time; there are as many a token as there are words.
const MOST_SCORES: usize = 1 << 26;

pub(super) fn features(args: &FeaturesArgs, backend: &BackendConfig) -> Result<()> {
    let config = read_config(&args.model)?;
    let plan = Plan::new(args, &config)?;
    let rows = Rows::read(args, &config)?;
    let started = Instant::now();
    let (count, tokens, truncated) = (rows.all.lengths.len(), rows.all.tokens(), rows.truncated);
    let job = Features {
        args,
        config,
        plan: plan.clone(),
        rows,
    };
    on(backend, job)?;
    let seconds = started.elapsed().as_secs_f64();
    let value = json!({
        "output": args.output, "rows": count, "tokens": tokens, "truncated": truncated,
        "layer": plan.layer, "seconds": seconds,
    });
    print(args.json, &value, || {
        let cut = if truncated > 0 {
            format!(", {truncated} texts cut")
        } else {
            String::new()
        };
        format!(
            "{}   {count} rows, {tokens} tokens{cut}, {seconds:.1} s",
            args.output.display()
        )
    })
}

/// What is computed.
#[derive(Debug, Clone)]
struct Plan {
    /// 0 for the embeddings, 1 for the first layer.
    layer: usize,
    pooling: Pooling,
    normalize: bool,
    mlm: bool,
    nsp: bool,
    hidden: usize,
    vocabulary: usize,
    batch_tokens: usize,
    as_json: bool,
}

impl Plan {
    fn new(args: &FeaturesArgs, config: &BertConfig) -> Result<Self> {
        let layers = config.num_hidden_layers as i64;
        let layer = if args.layer < 0 {
            layers + 1 + args.layer
        } else {
            args.layer
        };
        if !(0..=layers).contains(&layer) {
            return Err(usage(
                format!(
                    "--layer {} is not in this model of {layers} layers",
                    args.layer
                ),
                format!(
                    "choose 0 (the embeddings) to {layers}, or -1 (the last) down to -{}",
                    layers + 1
                ),
            ));
        }
        if args.pooling == Pooling::Pooler && layer != layers {
            return Err(usage(
                format!("the pooler belongs to the last layer, not to layer {layer}"),
                "leave out --layer, or pool by cls or mean",
            ));
        }
        if args.normalize && args.pooling == Pooling::None {
            return Err(usage(
                "--normalize divides pooled vectors, and nothing is pooled",
                "add --pooling mean, cls or pooler",
            ));
        }
        let extension = args.output.extension().and_then(|e| e.to_str());
        let as_json = match extension {
            Some("jsonl") => true,
            Some("safetensors") => false,
            _ => {
                return Err(usage(
                    format!("--output {} is of no known kind", args.output.display()),
                    "end its name in .jsonl or .safetensors",
                ));
            }
        };
        let mlm = args.heads.contains(&Head::Mlm);
        let most = if mlm {
            MOST_SCORES / config.vocab_size
        } else {
            usize::MAX
        };
        Ok(Self {
            layer: layer as usize,
            pooling: args.pooling,
            normalize: args.normalize,
            mlm,
            nsp: args.heads.contains(&Head::Nsp),
            hidden: config.hidden_size,
            vocabulary: config.vocab_size,
            batch_tokens: args.batch_tokens.min(most).max(1),
            as_json,
        })
    }

    /// The parts of the model that are used.
    fn needed(&self) -> Vec<Part> {
        let parts = [
            (Part::Pooler, self.nsp || self.pooling == Pooling::Pooler),
            (Part::MaskedLmHead, self.mlm),
            (Part::NextSentenceHead, self.nsp),
        ];
        let used = parts.into_iter().filter(|(_, is_used)| *is_used);
        used.map(|(part, _)| part).collect()
    }

    /// The names and shapes of the tensors of a row, in the order they are written.
    fn tensors(&self, row: usize, tokens: usize) -> Vec<(String, Vec<usize>)> {
        let mut tensors = vec![match self.pooling {
            Pooling::None => (format!("{row}.hidden"), vec![tokens, self.hidden]),
            _ => (format!("{row}.pooled"), vec![self.hidden]),
        }];
        if self.mlm {
            tensors.push((format!("{row}.mlm_logits"), vec![tokens, self.vocabulary]));
        }
        if self.nsp {
            tensors.push((format!("{row}.nsp_logits"), vec![2]));
        }
        tensors
    }
}

/// The input, tokenized and checked.
struct Rows {
    all: PackedSequences,
    /// Texts that were cut.
    truncated: usize,
}

#[derive(Deserialize)]
struct Row {
    text: Option<String>,
    text_pair: Option<String>,
    input_ids: Option<Vec<u32>>,
    token_type_ids: Option<Vec<u32>>,
}

impl Rows {
    /// Empty lines are no rows.
    fn read(args: &FeaturesArgs, config: &BertConfig) -> Result<Self> {
        let path = &args.input;
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mut reader = Reader {
            args,
            config,
            tokenizer: None,
            rows: Self {
                all: PackedSequences::default(),
                truncated: 0,
            },
        };
        let mut line = String::new();
        let mut lines = BufReader::new(file);
        for number in 1.. {
            line.clear();
            if lines
                .read_line(&mut line)
                .map_err(Error::io("read", path))?
                == 0
            {
                break;
            }
            if line.trim().is_empty() {
                continue;
            }
            reader.add(&line).map_err(|failure| match failure {
                Failure::Row(problem, help) => Error::Data {
                    path: path.clone(),
                    line: Some(number),
                    problem,
                    help: help.into(),
                },
                Failure::Other(error) => error,
            })?;
        }
        Ok(reader.rows)
    }
}

struct Reader<'a> {
    args: &'a FeaturesArgs,
    config: &'a BertConfig,
    /// Opened for the first text: rows of ids need none.
    tokenizer: Option<BertTokenizer>,
    rows: Rows,
}

/// What is wrong with a row, and what to do; or something else that failed.
enum Failure {
    Row(String, &'static str),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Reader<'_> {
    fn add(&mut self, line: &str) -> std::result::Result<(), Failure> {
        let row: Row = serde_json::from_str(line).map_err(|error| {
            let help = "give one object a line, {\"text\": …} or {\"input_ids\": […]}";
            Failure::Row(error.to_string(), help)
        })?;
        match row {
            Row {
                text: Some(text),
                text_pair,
                input_ids: None,
                token_type_ids: None,
            } => self.add_text(&text, text_pair.as_deref()),
            Row {
                text: None,
                text_pair: None,
                input_ids: Some(input_ids),
                token_type_ids,
            } => self.add_ids(&input_ids, token_type_ids),
            _ => Err(Failure::Row(
                "a row is either a text or ids".into(),
                "give {\"text\", \"text_pair\"?} or {\"input_ids\", \"token_type_ids\"?}",
            )),
        }
    }

    fn add_text(&mut self, text: &str, pair: Option<&str>) -> std::result::Result<(), Failure> {
        if self.tokenizer.is_none() {
            let tokenizer = BertTokenizer::load(&self.args.model)?;
            check_vocabulary(&tokenizer, self.config)?;
            self.tokenizer = Some(tokenizer);
        }
        let Some(tokenizer) = &self.tokenizer else {
            unreachable!("it was just opened");
        };
        let most = self.config.max_position_embeddings;
        let mut encoding = tokenizer.encode(text, pair)?;
        let tokens = encoding.input_ids.len();
        if tokens > most {
            if !self.args.truncate {
                return Err(Failure::Row(
                    format!("{tokens} tokens are more than the model's {most} positions"),
                    "shorten the text, or add --truncate",
                ));
            }
            encoding = tokenizer.encode_truncated(text, pair, most)?;
            self.rows.truncated += 1;
        }
        self.check_token_types(&encoding.token_type_ids)?;
        self.rows
            .all
            .push(&encoding.input_ids, &encoding.token_type_ids);
        Ok(())
    }

    fn add_ids(
        &mut self,
        input_ids: &[u32],
        token_type_ids: Option<Vec<u32>>,
    ) -> std::result::Result<(), Failure> {
        let (tokens, most) = (input_ids.len(), self.config.max_position_embeddings);
        let help = "ids are taken as they are, special tokens included";
        if tokens == 0 || tokens > most {
            let problem = format!("{tokens} input_ids, the model takes 1 to {most}");
            return Err(Failure::Row(problem, help));
        }
        if let Some(id) = input_ids
            .iter()
            .find(|id| **id as usize >= self.config.vocab_size)
        {
            let problem = format!(
                "id {id} is beyond the vocabulary of {}",
                self.config.vocab_size
            );
            return Err(Failure::Row(problem, help));
        }
        let types = token_type_ids.unwrap_or_else(|| vec![0; tokens]);
        if types.len() != tokens {
            let problem = format!("{tokens} input_ids and {} token_type_ids", types.len());
            return Err(Failure::Row(problem, help));
        }
        let types: Vec<u8> = types
            .iter()
            .map(|&id| u8::try_from(id).unwrap_or(u8::MAX))
            .collect();
        self.check_token_types(&types)?;
        self.rows.all.push(input_ids, &types);
        Ok(())
    }

    fn check_token_types(&self, types: &[u8]) -> std::result::Result<(), Failure> {
        // A batch keeps them in a byte each, of which the last stands for those that do not fit.
        let most = self.config.type_vocab_size.min(usize::from(u8::MAX));
        match types.iter().find(|id| usize::from(**id) >= most) {
            Some(id) => Err(Failure::Row(
                format!("token type {id} is not below the model's {most}"),
                "give the segments the model was trained with, from 0",
            )),
            None => Ok(()),
        }
    }
}

struct Features<'a> {
    args: &'a FeaturesArgs,
    config: BertConfig,
    plan: Plan,
    rows: Rows,
}

impl Job for Features<'_> {
    type Output = ();

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<()> {
        let model = load::<B>(&self.args.model, &self.config, &self.plan.needed(), &device)?;
        let compute = Compute {
            plan: &self.plan,
            rows: &self.rows.all,
            model: &model,
            device: &device,
        };
        let output = &self.args.output;
        if self.plan.as_json {
            return write_atomically_with(output, |file| {
                compute.all(|row| write_line(file, output, &self.plan, &row))
            });
        }
        let lengths = self.rows.all.lengths.iter().enumerate();
        let layout = lengths.flat_map(|(row, &tokens)| self.plan.tensors(row, tokens));
        write_safetensors(output, layout.collect(), |writer: &mut ValueWriter<'_>| {
            compute.all(|row| {
                writer.write(&row.states)?;
                writer.write(&row.mlm_logits)?;
                writer.write(&row.nsp_logits)
            })
        })
    }
}

/// What is computed of one row; empty where it was not asked for.
#[derive(Debug, Clone, Default)]
struct RowFeatures {
    /// `[tokens, hidden]`, or `[hidden]` where pooled.
    states: Vec<f32>,
    /// `[tokens, vocabulary]`
    mlm_logits: Vec<f32>,
    /// `[2]`
    nsp_logits: Vec<f32>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<Vec<&'a [f32]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pooled: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mlm_logits: Option<Vec<&'a [f32]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nsp_logits: Option<&'a [f32]>,
}

fn write_line(
    file: &mut BufWriter<File>,
    path: &Path,
    plan: &Plan,
    row: &RowFeatures,
) -> Result<()> {
    let pooled = plan.pooling != Pooling::None;
    let line = Line {
        hidden: (!pooled).then(|| row.states.chunks(plan.hidden).collect()),
        pooled: pooled.then_some(&row.states),
        mlm_logits: plan
            .mlm
            .then(|| row.mlm_logits.chunks(plan.vocabulary).collect()),
        nsp_logits: plan.nsp.then_some(&row.nsp_logits),
    };
    let written = serde_json::to_writer(&mut *file, &line).map_err(std::io::Error::from);
    written
        .and_then(|()| file.write_all(b"\n"))
        .map_err(Error::io("write", path))
}

struct Compute<'a, B: BertBackend> {
    plan: &'a Plan,
    rows: &'a PackedSequences,
    model: &'a BertForPreTraining<B>,
    device: &'a B::Device,
}

impl<B: BertBackend> Compute<'_, B> {
    /// Passes on every row in order. Rows are computed in batches of like lengths.
    fn all(&self, mut take: impl FnMut(RowFeatures) -> Result<()>) -> Result<()> {
        let lengths = &self.rows.lengths;
        let bar = progress(self.rows.tokens());
        let batches_a_pool = if self.plan.mlm { 1 } else { POOLED_BATCHES };
        let pool_tokens = self.plan.batch_tokens.saturating_mul(batches_a_pool);
        let mut first_token = 0;
        for pool in runs_within(lengths, pool_tokens) {
            // (row within the pool, its tokens)
            let mut rows: Vec<(usize, Range<usize>)> = Vec::with_capacity(pool.len());
            for (row, length) in lengths[pool].iter().enumerate() {
                rows.push((row, first_token..first_token + length));
                first_token += length;
            }
            let mut computed = vec![RowFeatures::default(); rows.len()];
            rows.sort_by_key(|(_, tokens)| tokens.len());
            let sorted: Vec<usize> = rows.iter().map(|(_, tokens)| tokens.len()).collect();
            for batch in runs_within(&sorted, self.plan.batch_tokens) {
                let batch = &rows[batch];
                let mut sequences = PackedSequences::default();
                for (_, tokens) in batch {
                    sequences.push(
                        &self.rows.input_ids[tokens.clone()],
                        &self.rows.token_type_ids[tokens.clone()],
                    );
                }
                for ((row, _), features) in batch.iter().zip(self.batch(&sequences)) {
                    computed[*row] = features;
                }
                bar.inc(sequences.tokens() as u64);
            }
            computed.into_iter().try_for_each(&mut take)?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn batch(&self, sequences: &PackedSequences) -> Vec<RowFeatures> {
        let batch = sequences.to_device(self.device);
        let dropout = DropoutKey::inference();
        let bert = &self.model.bert;
        let embedded = bert.embeddings.forward(&batch, &dropout);
        let is_last = self.plan.layer + 1 > bert.encoder.layer.len();
        let (chosen, last) = if is_last {
            let last = bert.encoder.forward(embedded, &batch.sequences, &dropout);
            (last.clone(), last)
        } else {
            let mut all = bert
                .encoder
                .all_hidden_states(embedded, &batch.sequences, &dropout);
            let last = all[all.len() - 1].clone();
            (all.swap_remove(self.plan.layer), last)
        };
        let pooled = || {
            bert.pooler
                .forward(last.clone(), batch.first_tokens.clone())
        };
        let values = |tensor: Tensor<B, 2>| -> Vec<f32> { tensor.into_data().iter().collect() };

        let lengths = &sequences.lengths;
        let hidden = self.plan.hidden;
        let mut states = match self.plan.pooling {
            Pooling::None => split(&values(chosen), lengths, hidden),
            Pooling::Pooler => split(&values(pooled()), &vec![1; lengths.len()], hidden),
            Pooling::Cls => {
                let mut states = split(&values(chosen), lengths, hidden);
                states.iter_mut().for_each(|states| states.truncate(hidden));
                states
            }
            Pooling::Mean => split(&values(chosen), lengths, hidden)
                .iter()
                .map(|states| mean(states, hidden))
                .collect(),
        };
        if self.plan.normalize {
            states.iter_mut().for_each(|vector| normalize(vector));
        }
        let mut rows: Vec<RowFeatures> = states
            .into_iter()
            .map(|states| RowFeatures {
                states,
                ..Default::default()
            })
            .collect();
        if self.plan.mlm {
            let every = ids(0..sequences.tokens() as i64, self.device);
            let logits = values(self.model.masked_lm_logits(last.clone(), every));
            let logits = split(&logits, lengths, self.plan.vocabulary);
            for (row, logits) in rows.iter_mut().zip(logits) {
                row.mlm_logits = logits;
            }
        }
        if self.plan.nsp {
            let logits = values(self.model.next_sentence_logits(pooled()));
            for (row, logits) in rows.iter_mut().zip(logits.chunks(2)) {
                row.nsp_logits = logits.to_vec();
            }
        }
        rows
    }
}

/// Cuts a list of lengths into runs of at most `budget` in all; one that is longer is a run by itself.
fn runs_within(lengths: &[usize], budget: usize) -> Vec<Range<usize>> {
    let (mut runs, mut first, mut sum) = (Vec::new(), 0, 0);
    for (index, length) in lengths.iter().enumerate() {
        if index > first && sum + length > budget {
            runs.push(first..index);
            (first, sum) = (index, 0);
        }
        sum += length;
    }
    if first < lengths.len() {
        runs.push(first..lengths.len());
    }
    runs
}

/// The rows of each sequence, `width` values each.
fn split(values: &[f32], lengths: &[usize], width: usize) -> Vec<Vec<f32>> {
    let mut rest = values;
    let part = |length: &usize| {
        let (part, after) = rest.split_at(length * width);
        rest = after;
        part.to_vec()
    };
    lengths.iter().map(part).collect()
}

fn mean(states: &[f32], hidden: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; hidden];
    for state in states.chunks(hidden) {
        for (sum, value) in sums.iter_mut().zip(state) {
            *sum += f64::from(*value);
        }
    }
    let tokens = (states.len() / hidden) as f64;
    sums.iter().map(|sum| (sum / tokens) as f32).collect()
}

/// Divides a vector by its Euclidean length.
fn normalize(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    let scale = 1.0 / square.sqrt().max(1e-12);
    for value in vector {
        *value = (f64::from(*value) * scale) as f32;
    }
}

/// On standard error, where that is a terminal.
fn progress(tokens: usize) -> ProgressBar {
    let bar = ProgressBar::new(tokens as u64);
    let template = "{wide_bar} {human_pos}/{human_len} tokens {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
