//! The sizes and constants of a model, under Hugging Face's names.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{FromSection, Section};

/// Hugging Face's `BertConfig`, as far as it decides a model's numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BertConfig {
    /// Rows of the word embeddings. 0 until the tokenizer is known.
    pub vocab_size: usize,
    /// Width of the encoder.
    pub hidden_size: usize,
    /// Layers of the encoder.
    pub num_hidden_layers: usize,
    /// Heads of each attention; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward networks.
    pub intermediate_size: usize,
    /// The function inside them.
    pub hidden_act: HiddenActivation,
    /// Dropout of the embeddings and of every output projection.
    pub hidden_dropout_prob: f64,
    /// Dropout of the attention probabilities.
    pub attention_probs_dropout_prob: f64,
    /// The longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Segments.
    pub type_vocab_size: usize,
    /// Standard deviation of initial weights.
    pub initializer_range: f64,
    /// ε of layer norms.
    pub layer_norm_eps: f64,
    /// The id of `[PAD]`.
    pub pad_token_id: usize,
    /// Dropout before the classifier of a fine-tuned model; `None` for that of hidden states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier_dropout: Option<f64>,
}

/// The function inside the feed-forward networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenActivation {
    /// GELU by the error function.
    Gelu,
    /// GELU by tanh.
    GeluNew,
    /// GELU by tanh; another name.
    GeluPytorchTanh,
    /// max(x, 0)
    Relu,
}

const ACTIVATIONS: [(&str, HiddenActivation); 4] = [
    ("gelu", HiddenActivation::Gelu),
    ("gelu_new", HiddenActivation::GeluNew),
    ("gelu_pytorch_tanh", HiddenActivation::GeluPytorchTanh),
    ("relu", HiddenActivation::Relu),
];

/// Far beyond any BERT, and small enough that what is computed from sizes does not overflow.
const MOST_ROWS: usize = 1 << 24;
const MOST_COLUMNS: usize = 1 << 17;
const MOST_LAYERS: usize = 1 << 12;

impl FromSection for BertConfig {
    fn from_section(section: &mut Section) -> Self {
        let (hidden_size, sound) = section.sound(|section| section.required("hidden_size"));
        let config = Self {
            vocab_size: section.or("vocab_size", 0),
            hidden_size,
            num_hidden_layers: section.required("num_hidden_layers"),
            num_attention_heads: section.required("num_attention_heads"),
            intermediate_size: section.positive("intermediate_size", hidden_size.saturating_mul(4)),
            hidden_act: section.choice("hidden_act", &ACTIVATIONS, HiddenActivation::Gelu),
            hidden_dropout_prob: section.fraction("hidden_dropout_prob", 0.1),
            attention_probs_dropout_prob: section.fraction("attention_probs_dropout_prob", 0.1),
            max_position_embeddings: section.positive("max_position_embeddings", 512),
            type_vocab_size: section.positive("type_vocab_size", 2),
            initializer_range: section.or("initializer_range", 0.02),
            layer_norm_eps: section.or("layer_norm_eps", 1e-12),
            pad_token_id: section.or("pad_token_id", 0),
            classifier_dropout: section.or("classifier_dropout", None),
        };
        for (key, value) in [
            ("hidden_size", config.hidden_size),
            ("num_hidden_layers", config.num_hidden_layers),
            ("num_attention_heads", config.num_attention_heads),
        ] {
            section.check(value > 0, key, "must be at least 1");
        }
        for (key, value, most) in [
            ("vocab_size", config.vocab_size, MOST_ROWS),
            ("hidden_size", config.hidden_size, MOST_COLUMNS),
            ("num_hidden_layers", config.num_hidden_layers, MOST_LAYERS),
            ("intermediate_size", config.intermediate_size, MOST_COLUMNS),
            (
                "max_position_embeddings",
                config.max_position_embeddings,
                MOST_ROWS,
            ),
            ("type_vocab_size", config.type_vocab_size, MOST_ROWS),
        ] {
            section.check(value <= most, key, format!("must be at most {most}"));
        }
        let heads = config.num_attention_heads.max(1);
        section.check(
            !sound || config.hidden_size.is_multiple_of(heads),
            "num_attention_heads",
            format!(
                "{heads} heads do not divide hidden_size {}",
                config.hidden_size
            ),
        );
        section.check(
            (config.classifier_dropout).is_none_or(|dropout| (0.0..1.0).contains(&dropout)),
            "classifier_dropout",
            "must be at least 0 and below 1, or null for hidden_dropout_prob",
        );
        section.check(
            config.initializer_range > 0.0,
            "initializer_range",
            "must be above 0",
        );
        section.check(
            config.layer_norm_eps as f32 >= f32::MIN_POSITIVE,
            "layer_norm_eps",
            "must be above 0, and a normal number in f32 (from 1.2e-38)",
        );
        config
    }
}

impl BertConfig {
    /// Its keys, which are Hugging Face's.
    pub const KEYS: [&str; 14] = [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "max_position_embeddings",
        "type_vocab_size",
        "initializer_range",
        "layer_norm_eps",
        "pad_token_id",
        "classifier_dropout",
    ];

    /// Whether a model of these sizes can take a sequence: 1 to `max_position_embeddings` tokens with a token type each, ids
    /// below `vocab_size`, token types below `type_vocab_size`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check_sequence(&self, input_ids: &[u32], token_type_ids: &[u8]) -> Result<(), String> {
        let (tokens, types) = (input_ids.len(), token_type_ids.len());
        let most = self.max_position_embeddings;
        if tokens == 0 || tokens > most {
            return Err(format!(
                "{tokens} input_ids, the model takes 1 to {most}, its positions"
            ));
        }
        if tokens != types {
            return Err(format!("{tokens} input_ids and {types} token_type_ids"));
        }
        let vocabulary = self.vocab_size;
        if let Some(id) = (input_ids.iter()).find(|id| **id as usize >= vocabulary) {
            return Err(format!("id {id} is beyond the vocabulary of {vocabulary}"));
        }
        let most = self.type_vocab_size;
        match (token_type_ids.iter()).find(|id| usize::from(**id) >= most) {
            Some(id) => Err(format!("token type {id} is not below the model's {most}")),
            None => Ok(()),
        }
    }

    /// Hugging Face's `config.json`, for the named architectures, with `extra` keys.
    pub fn to_hugging_face(&self, architectures: &[&str], extra: Map<String, Value>) -> Value {
        let mut object = match serde_json::to_value(self) {
            Ok(Value::Object(object)) => object,
            _ => unreachable!("a struct of numbers and names is a JSON object"),
        };
        object.insert("model_type".into(), json!("bert"));
        object.insert("architectures".into(), json!(architectures));
        object.insert("position_embedding_type".into(), json!("absolute"));
        object.insert("tie_word_embeddings".into(), json!(true));
        object.insert("torch_dtype".into(), json!("float32"));
        object.extend(extra);
        Value::Object(object)
    }

    /// From Hugging Face's `config.json`: keys that do not decide the numbers are ignored, what this crate cannot
    /// compute is refused by name. `origin` names the file in messages.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] with every problem.
    pub fn from_hugging_face(origin: &str, value: Value) -> crate::error::Result<Self> {
        let Value::Object(object) = value else {
            return super::from_value(origin, value);
        };
        let mut ours = Map::new();
        let must_be = [
            ("model_type", json!("bert")),
            ("position_embedding_type", json!("absolute")),
            ("is_decoder", json!(false)),
            ("add_cross_attention", json!(false)),
            ("pruned_heads", json!({})),
            ("tie_word_embeddings", json!(true)),
        ];
        let mut problems = Vec::new();
        for (key, value) in object {
            if value.is_null() {
                continue; // its default
            } else if Self::KEYS.contains(&key.as_str()) {
                ours.insert(key, value);
            } else if let Some((_, right)) = must_be.iter().find(|(name, _)| *name == key)
                && value != *right
            {
                problems.push(crate::error::ConfigProblem {
                    key,
                    problem: format!("{value} is not supported, only {right}"),
                });
            }
        }
        if !problems.is_empty() {
            let origin = origin.to_string();
            return Err(crate::error::Error::Config { origin, problems });
        }
        super::from_value(origin, Value::Object(ours))
    }
}

#[cfg(test)]
mod tests {
    use super::super::from_value;
    use super::*;

    #[test]
    fn what_a_model_cannot_take_is_said() {
        let sizes = json!({
            "vocab_size": 11, "hidden_size": 6, "num_hidden_layers": 1, "num_attention_heads": 1,
            "max_position_embeddings": 4, "type_vocab_size": 2,
        });
        let config: BertConfig = from_value("test", sizes).unwrap();
        assert_eq!(config.check_sequence(&[10, 0, 1, 2], &[0, 0, 1, 1]), Ok(()));
        let cases: [(&[u32], &[u8], &str); 5] = [
            (&[], &[], "0 input_ids"),
            (&[1, 1, 1, 1, 1], &[0; 5], "takes 1 to 4"),
            (&[1, 2], &[0], "2 input_ids and 1 token_type_ids"),
            (&[1, 11], &[0, 0], "id 11 is beyond the vocabulary of 11"),
            (&[1, 2], &[0, 2], "token type 2 is not below the model's 2"),
        ];
        for (ids, types, problem) in cases {
            let found = config.check_sequence(ids, types).unwrap_err();
            assert!(found.contains(problem), "{found}");
        }
    }
}
