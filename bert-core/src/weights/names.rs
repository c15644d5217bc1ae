//! Our parameter paths and Hugging Face's tensor names.

/// The name of a parameter in a checkpoint.
pub fn checkpoint_name(path: &str) -> String {
    path.replace("self_attention", "self")
        .replace("layer_norm", "LayerNorm")
}

/// Whether a checkpoint keeps the transpose: linear maps are `[in, out]` here and `[out, in]` there, tables are alike.
pub(super) fn is_transposed(path: &str, dimensions: usize) -> bool {
    dimensions == 2 && !path.contains("embeddings")
}

/// Tensors that a checkpoint may have beside its parameters: buffers, and the second names of tied parameters.
pub(super) fn is_redundant(name: &str) -> bool {
    [
        "embeddings.position_ids",
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
    ]
    .iter()
    .any(|ending| name.ends_with(ending))
}
