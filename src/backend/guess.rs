//! What a model can probably do, by its name: only where its server says nothing. A guess is never a no.

use crate::fleet::{Model, Support};

const VISION: [&str; 11] = [
    "llava",
    "vision",
    "llama4",
    "gemma-4b",
    "gemma-12b",
    "gemma-27b",
    "pixtral",
    "moondream",
    "bakllava",
    "minicpm-v",
    "gpt-4o",
];
const TOOLS: [&str; 11] = [
    "mistral",
    "llama3.1",
    "llama3.2",
    "llama3.3",
    "llama4",
    "qwen2.5",
    "qwen3",
    "command-r",
    "firefunction",
    "hermes",
    "functionary",
];

/// Fills in what nobody said.
pub(super) fn fill(model: &mut Model) {
    let id = model.id.to_ascii_lowercase();
    let guess =
        |names: &[&str]| if names.iter().any(|name| id.contains(name)) { Support::Yes } else { Support::Unknown };
    model.vision = model.vision.or(guess(&VISION));
    model.tools = model.tools.or(guess(&TOOLS));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fill_gaps_and_never_contradict_a_server() {
        let mut model = Model::named("Qwen2.5-VL-Vision");
        fill(&mut model);
        assert_eq!((model.vision, model.tools), (Support::Yes, Support::Yes));

        let mut said_no = Model { tools: Support::No, ..Model::named("mistral:7b") };
        fill(&mut said_no);
        assert_eq!((said_no.tools, said_no.vision), (Support::No, Support::Unknown));
    }
}
