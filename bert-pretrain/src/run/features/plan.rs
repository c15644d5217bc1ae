//! What `features` computes, of the options given and the model at hand.

use bert_core::command::usage;
use bert_core::config::BertConfig;
use bert_core::error::Result;
use bert_core::weights::Part;

use crate::cli::{FeaturesArgs, Head, Pooling};

/// Scores of words kept at a time; there are as many a token as there are words.
const MOST_SCORES: usize = 1 << 26;

/// What is computed.
#[derive(Debug)]
pub(super) struct Plan {
    /// 0 for the embeddings, 1 for the first layer.
    pub(super) layer: usize,
    pub(super) pooling: Pooling,
    pub(super) normalize: bool,
    pub(super) mlm: bool,
    pub(super) nsp: bool,
    pub(super) hidden: usize,
    pub(super) vocabulary: usize,
    pub(super) batch_tokens: usize,
    pub(super) as_json: bool,
}

impl Plan {
    pub(super) fn new(args: &FeaturesArgs, config: &BertConfig) -> Result<Self> {
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

    /// Whether nothing is asked of other tokens than the first of every sequence.
    pub(super) fn first_tokens_only(&self) -> bool {
        matches!(self.pooling, Pooling::Cls | Pooling::Pooler) && !self.mlm
    }

    /// The parts of the model that are used.
    pub(super) fn needed(&self) -> Vec<Part> {
        let parts = [
            (Part::Pooler, self.nsp || self.pooling == Pooling::Pooler),
            (Part::MaskedLmHead, self.mlm),
            (Part::NextSentenceHead, self.nsp),
        ];
        let used = parts.into_iter().filter(|(_, is_used)| *is_used);
        used.map(|(part, _)| part).collect()
    }

    /// The names and shapes of the tensors of a row, in the order they are written.
    pub(super) fn tensors(&self, row: usize, tokens: usize) -> Vec<(String, Vec<usize>)> {
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
