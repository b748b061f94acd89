//! Embeddings: a vector of length one for each input, made from a hash of it. Near texts do not get near vectors.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::text::Prompt;

/// How many numbers a vector has where the client does not say.
pub(super) const DIMENSIONS: u32 = 64;

/// The most it may ask for.
pub(super) const MAX_DIMENSIONS: u32 = 4096;

/// The vector of one input.
pub(super) fn vector(prompt: &Prompt, dimensions: u32) -> Vec<f32> {
    let raw: Vec<f64> = (0..u64::from(dimensions)).map(|index| unit(prompt.number(index))).collect();
    let length = raw.iter().map(|number| number * number).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    raw.into_iter().map(|number| (number / length) as f32).collect()
}

/// As JSON: an array, or little-endian floats in base64.
pub(super) fn encoded(vector: &[f32], base64: bool) -> Value {
    if !base64 {
        return json!(vector);
    }
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    Value::String(BASE64.encode(&bytes))
}

/// From -1 up to 1, never quite 0.
fn unit(number: u64) -> f64 {
    ((number >> 11) as f64 + 0.5) / (1_u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_and_hang_on_the_text() {
        for dimensions in [1, 2, DIMENSIONS, MAX_DIMENSIONS] {
            let vector = vector(&Prompt::of("a text"), dimensions);
            let length: f32 = vector.iter().map(|number| number * number).sum();
            assert_eq!(vector.len(), dimensions as usize);
            assert!((length - 1.0).abs() < 1e-4, "{length}");
        }
        assert_eq!(vector(&Prompt::of("a"), 8), vector(&Prompt::of("a"), 8));
        assert_ne!(vector(&Prompt::of("a"), 8), vector(&Prompt::of("b"), 8));
    }

    #[test]
    fn base64_holds_the_same_floats() {
        let vector = vector(&Prompt::of("a text"), 3);
        let bytes = BASE64.decode(encoded(&vector, true).as_str().unwrap().as_bytes()).unwrap();
        let decoded: Vec<f32> =
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(decoded, vector);
    }
}
