//! `convert`: any model that can be read, written as this project writes its own.

use std::path::Path;

use bert_core::backend::{Job, run_on};
use bert_core::command::{print, usage};
use bert_core::config::{BackendConfig, BertConfig, Compute};
use bert_core::error::Result;
use bert_core::files::{must_be_free, write_directory_atomically};
use bert_core::model::BertForPreTraining;
use bert_core::ops::BertAutodiffBackend;
use bert_core::tokenizer::BertTokenizer;
use bert_core::weights::{Head, Loaded, Part, load_weights, read_config, save_model};
use serde_json::json;

use super::model::architecture;

pub(super) fn convert(model: &Path, output: &Path, json: bool) -> Result<()> {
    let config = read_config(model)?;
    must_be_free(output)?;
    let has_tokenizer = ["tokenizer.json", "vocab.txt"]
        .iter()
        .any(|name| model.join(name).is_file());
    let tokenizer = has_tokenizer.then(|| BertTokenizer::load(model));
    let tokenizer = tokenizer.transpose()?;
    if let Some(tokenizer) = &tokenizer {
        tokenizer.check_fits(config.vocab_size)?;
    }
    let job = Convert {
        model,
        output,
        config: &config,
        tokenizer,
    };
    // Weights pass through unchanged; no backend computes anything.
    let backend = BackendConfig::Ndarray {
        compute: Compute::F32,
    };
    let (architecture, loaded) = run_on(&backend, job)?;
    let absent: Vec<String> = loaded.absent.iter().map(Part::to_string).collect();
    let value = json!({
        "output": output.to_string_lossy(), "architecture": architecture, "absent": absent, "tokenizer": has_tokenizer,
    });
    print(json, &value, || {
        let mut text = format!("{}   {architecture}", output.display());
        for part in absent {
            text += &format!("\n  without the {part}, which {} lacks", model.display());
        }
        if !has_tokenizer {
            text += "\n  without a tokenizer";
        }
        text
    })
}

struct Convert<'a> {
    model: &'a Path,
    output: &'a Path,
    config: &'a BertConfig,
    tokenizer: Option<BertTokenizer>,
}

impl Job for Convert<'_> {
    type Output = (&'static str, Loaded);

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Self::Output> {
        let model = BertForPreTraining::<B::InnerBackend>::new(self.config, 0, &device);
        let (model, loaded) = load_weights(self.model, model, &device)?;
        if !loaded.unused.is_empty() {
            return Err(usage(
                format!(
                    "{} has the head of another task: {}",
                    self.model.display(),
                    loaded.unused.join(", ")
                ),
                "only encoders and pre-training heads are converted",
            ));
        }
        let architecture = architecture(&loaded.absent);
        write_directory_atomically(self.output, |directory| {
            save_model(
                directory,
                &model,
                self.config,
                &Head::new(architecture),
                &loaded.absent,
            )?;
            match &self.tokenizer {
                Some(tokenizer) => {
                    tokenizer.save(directory, Some(self.config.max_position_embeddings))
                }
                None => Ok(()),
            }
        })?;
        Ok((architecture, loaded))
    }
}
