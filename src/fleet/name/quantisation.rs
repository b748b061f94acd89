//! Names of quantisations, brought into one spelling. They are only spelled alike, never taken for one another.

use super::split::words_of;

/// The most words one label has: `q4_0_4_4`.
const LONGEST: usize = 4;

/// Methods: they stand in front of the width.
const METHODS: &[&str] =
    &["unsloth", "ud", "awq", "gptq", "bnb", "exl2", "exl3", "hqq", "aqlm", "autoround", "spqr", "torchao"];
/// Labels that are the same wherever they stand.
const LABELS: &[&str] = &[
    "bf16",
    "f16",
    "f32",
    "fp8",
    "fp4",
    "nf4",
    "nvfp4",
    "mxfp4",
    "mxfp4_moe",
    "mxfp8",
    "int8",
    "int4",
    "int3",
    "int2",
    "e4m3",
];
/// Words that belong to a quantisation only where one is named.
const MODIFIERS: &[&str] = &["dynamic", "dwq", "unsloth", "kv", "block", "tput", "128g", "32g"];

/// The canonical label of what a server tells, such as `Q4_K_M`. Nothing, where it tells none.
pub(super) fn canonical(text: &str) -> Option<String> {
    let words = words_of(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut labels = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (label, length) = at_start(&words[at..])?;
        labels.push(label);
        at += length;
    }
    join(labels)
}

/// The label that `words` begin with, and how many of them it takes.
pub(super) fn at_start(words: &[&str]) -> Option<(String, usize)> {
    (1..=LONGEST.min(words.len())).rev().find_map(|length| Some((label(&words[..length].join("_"))?, length)))
}

/// Whether a word belongs to the quantisation of a name that has one.
pub(super) fn is_modifier(word: &str) -> bool {
    MODIFIERS.contains(&word)
}

/// All labels of a name as one: methods first, modifiers last.
pub(super) fn join(mut labels: Vec<String>) -> Option<String> {
    let rank = |label: &str| match METHODS.iter().position(|&method| method == label) {
        Some(place) => place,
        None if is_modifier(label) => METHODS.len() + 1,
        None => METHODS.len(),
    };
    labels.sort_by(|one, two| (rank(one), one).cmp(&(rank(two), two)));
    labels.dedup();
    (!labels.is_empty()).then(|| labels.join("-"))
}

fn label(text: &str) -> Option<String> {
    let text = match text {
        "fp16" => "f16",
        "fp32" => "f32",
        "unsloth" => return None,
        text => text,
    };
    let known = METHODS.contains(&text) || LABELS.contains(&text) || is_ggml(text) || is_width(text);
    known.then(|| text.to_owned())
}

/// `q4`, `q8_0`, `q4_k_m`, `iq2_xxs`, `tq1_0`, `q4_0_4_8`, and `q4f16_1` of MLC.
fn is_ggml(text: &str) -> bool {
    let Some(rest) = ["iq", "tq", "q"].iter().find_map(|kind| text.strip_prefix(kind)) else { return false };
    let mut characters = rest.chars();
    if !characters.next().is_some_and(|width| width.is_ascii_digit()) {
        return false;
    }
    let tail = characters.as_str();
    let Some(tail) = tail.strip_prefix('_') else {
        return matches!(tail, "" | "f16" | "f16_0" | "f16_1" | "f32" | "f32_0" | "f32_1");
    };
    let tail = tail.strip_prefix("k_").unwrap_or(tail);
    matches!(tail, "k" | "xxs" | "xs" | "s" | "m" | "l" | "xl" | "nl" | "0" | "1" | "0_4_4" | "0_4_8" | "0_8_8")
}

/// `4bit`, `4.65bpw`, `w4a16`.
fn is_width(text: &str) -> bool {
    let is_number = |text: &str| {
        !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    if let Some(width) = text.strip_suffix("bit").or_else(|| text.strip_suffix("bpw")) {
        return is_number(width);
    }
    let weights = text.strip_prefix('w').and_then(|rest| rest.split_once('a'));
    weights.is_some_and(|(weights, activations)| is_number(weights) && is_number(activations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_one_spelling() {
        let same = [
            ("Q4_K_M", "q4_k_m"),
            ("FP16", "f16"),
            ("BF16", "bf16"),
            ("UD-Q4_K_XL", "ud-q4_k_xl"),
            ("GPTQ-Int4", "gptq-int4"),
            ("IQ2_XXS", "iq2_xxs"),
            ("MXFP4", "mxfp4"),
            ("4bit", "4bit"),
            ("Q4_0_4_8", "q4_0_4_8"),
            ("w4a16", "w4a16"),
        ];
        for (text, label) in same {
            assert_eq!(canonical(text).as_deref(), Some(label));
        }
    }

    #[test]
    fn what_is_no_label_says_nothing() {
        for text in ["", "unknown", "q", "qwen", "q4_z", "bit", "latest", "Q4_K_M or so"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
