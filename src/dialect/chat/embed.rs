//! Embeddings, which most dialects have, each in its own shape.

/// A request for embeddings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedRequest {
    /// The texts, one embedding for each.
    pub inputs: Vec<String>,
    /// How many numbers each is to have.
    pub dimensions: Option<u64>,
    /// The client wants them as base64 of little-endian 32-bit floats (`encoding_format`).
    pub base64: bool,
}

/// The embeddings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedReply {
    /// The model, as the backend calls it.
    pub model: Option<String>,
    /// One for each input, in order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all inputs.
    pub prompt_tokens: Option<u64>,
}
