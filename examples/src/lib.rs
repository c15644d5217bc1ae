//! The library as a program of its own would use it.

use bert_core::data::packed::{PackedBatch, PackedSequences};
use bert_core::error::Result;
use bert_core::tokenizer::BertTokenizer;
use burn::tensor::backend::Backend;

/// Texts as one packed batch: no padding, whatever their lengths.
///
/// # Errors
/// What encoding gives.
pub fn pack<B: Backend>(
    tokenizer: &BertTokenizer,
    texts: &[&str],
    device: &B::Device,
) -> Result<PackedBatch<B>> {
    let mut sequences = PackedSequences::default();
    for text in texts {
        let encoding = tokenizer.encode(text, None)?;
        sequences.push(&encoding.input_ids, &encoding.token_type_ids);
    }
    Ok(sequences.to_device(device))
}
