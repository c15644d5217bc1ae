//! The models: the encoder with its pooler, and the heads on top.

mod bert;
mod head_dropout;
mod multiple_choice;
mod pretraining;
mod question_answering;
mod sequence_classifier;
mod token_classifier;

pub use bert::{BertModel, BertModelOutput};
use head_dropout::HeadDropout;
pub use multiple_choice::BertForMultipleChoice;
pub use pretraining::{
    BertForPreTraining, PreTrainingHeads, PreTrainingLabels, PreTrainingLoss, PredictionHead,
    Transform,
};
pub use question_answering::BertForQuestionAnswering;
pub use sequence_classifier::BertForSequenceClassification;
pub use token_classifier::BertForTokenClassification;
