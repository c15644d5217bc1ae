//! Our parameter paths and the names that checkpoints give the same tensors.

use std::fmt;

/// The name of a parameter in a checkpoint.
pub fn checkpoint_name(path: &str) -> String {
    path.replace("self_attention", "self")
        .replace("layer_norm", "LayerNorm")
}

/// The name as transformers writes it today: `gamma` and `beta` are of google-research/bert, and a model saved without
/// a head leaves the prefix `bert.` out.
pub(super) fn modern_name(name: &str) -> String {
    let (stem, last) = name.rsplit_once('.').unwrap_or(("", name));
    let name = match last {
        "gamma" => format!("{stem}.weight"),
        "beta" => format!("{stem}.bias"),
        _ => name.to_string(),
    };
    let is_bare = ["embeddings.", "encoder.", "pooler."]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    if is_bare {
        format!("bert.{name}")
    } else {
        name
    }
}

/// The part of a user's own that a tensor belongs to, the first segment of its name; `None` for what checkpoints know.
pub(super) fn own_part(name: &str) -> Option<&str> {
    let root = name.split('.').next().unwrap_or(name);
    let known = ["bert", "cls", "classifier", "qa_outputs"];
    (!known.contains(&root)).then_some(root)
}

/// Whether a tensor is a buffer of indices, the same for every model.
pub(super) fn is_buffer(name: &str) -> bool {
    [
        "bert.embeddings.position_ids",
        "bert.embeddings.token_type_ids",
    ]
    .contains(&name)
}

/// The second names of tied parameters, each with the first.
pub(super) const TIED: [(&str, &str); 2] = [
    (
        "cls.predictions.decoder.weight",
        "bert.embeddings.word_embeddings.weight",
    ),
    ("cls.predictions.decoder.bias", "cls.predictions.bias"),
];

/// A part of a model that a checkpoint may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `bert.pooler`
    Pooler,
    /// `cls.predictions`
    MaskedLmHead,
    /// `cls.seq_relationship`
    NextSentenceHead,
    /// `classifier`
    Classifier,
    /// `qa_outputs`
    AnswerHead,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pooler,
        Self::MaskedLmHead,
        Self::NextSentenceHead,
        Self::Classifier,
        Self::AnswerHead,
    ];
    /// Those of a model that was pre-trained.
    pub const OF_PRETRAINING: [Self; 3] =
        [Self::Pooler, Self::MaskedLmHead, Self::NextSentenceHead];

    /// How the names of its tensors begin.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Pooler => "bert.pooler",
            Self::MaskedLmHead => "cls.predictions",
            Self::NextSentenceHead => "cls.seq_relationship",
            Self::Classifier => "classifier",
            Self::AnswerHead => "qa_outputs",
        }
    }

    /// The part that a tensor belongs to; `None` for what no checkpoint may lack.
    pub(super) fn of(name: &str) -> Option<Self> {
        let belongs = |part: &Self| {
            let rest = name.strip_prefix(part.prefix());
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        Self::ALL.into_iter().find(belongs)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Pooler => "pooler",
            Self::MaskedLmHead => "masked-LM head",
            Self::NextSentenceHead => "next-sentence head",
            Self::Classifier => "classifier",
            Self::AnswerHead => "question answering head",
        };
        write!(f, "{what} ({}.*)", self.prefix())
    }
}
