//! The models: the encoder with its pooler, and the heads on top.

mod bert;
mod pretraining;

pub use bert::{BertModel, BertOutput};
pub use pretraining::{
    BertForPreTraining, PreTrainingHeads, PreTrainingLabels, PreTrainingLoss, PredictionHead,
};
