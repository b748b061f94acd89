use proptest::prelude::*;

use super::Likeness::{Different, Maybe, Same};
use super::*;

/// Names as servers give them: name, family, version, size, flavour, quantisation, revision.
const CORPUS: &str = include_str!("../../../tests/fixtures/model_names.tsv");

fn told(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn rows() -> impl Iterator<Item = (&'static str, Identity)> {
    CORPUS.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let [name, family, version, size, flavour, quantisation, revision] =
            line.split('\t').collect::<Vec<_>>().try_into().expect(line);
        let identity = Identity {
            family: family.to_owned(),
            version: told(version),
            size: told(size).map(|size| Size::parse(&size).expect(line)),
            flavour: flavour.split_whitespace().map(str::to_owned).collect(),
            quantisation: told(quantisation),
            revision: told(revision),
        };
        (name, identity)
    })
}

#[test]
fn real_names_are_read() {
    for (name, expected) in rows() {
        assert_eq!(Identity::parse(name), expected, "{name}");
    }
    assert!(rows().count() >= 320);
}

#[test]
fn real_names_are_read_alike_from_their_keys() {
    for (name, expected) in rows() {
        assert_eq!(Draft::read(name), expected, "the first reading of {name}");
        assert_eq!(Identity::parse(&expected.key()), expected, "{name}");
    }
}

#[test]
fn keys_are_readable() {
    let keys = [
        ("Llama-3.2-3B-Instruct-Q4_K_M.gguf", "llama-3.2-3b-instruct@q4_k_m"),
        ("qwen3:30b-a3b-instruct-2507-q4_K_M", "qwen-3-30b-a3b-instruct-2507@q4_k_m"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-4.5-sonnet-2025-09-29"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "deepseek-r1-7b-distill-qwen"),
        (r"C:\models\x.gguf", "x"),
        ("", ""),
        ("latest", "latest"),
    ];
    for (name, key) in keys {
        assert_eq!(Identity::parse(name).key(), key);
        assert_eq!(Identity::parse(name).to_string(), key);
    }
}

#[test]
fn details_fill_what_the_name_left_open() {
    let detailed = |name| Identity::parse(name).with_details(Some("3.2B"), Some("Q4_K_M"));
    assert_eq!(detailed("llama3.2").key(), "llama-3.2-3.2b@q4_k_m");
    assert_eq!(detailed("llama3.2:3b-instruct-q8_0").key(), "llama-3.2-3b-instruct@q8_0");
    assert_eq!(detailed("llama3.2").likeness(&detailed("llama3.2:3b")), Same);
    let silent = Identity::parse("llama3.2").with_details(Some("unknown"), Some("unknown"));
    assert_eq!(silent, Identity::parse("llama3.2"));
    assert_eq!(Identity::parse("llama3.2").with_details(None, None), Identity::parse("llama3.2"));
}

const PAIRS: [(&str, &str, Likeness); 58] = [
    // One model on two servers.
    ("llama3.2:3b-instruct-q4_K_M", "Llama-3.2-3B-Instruct-Q4_K_M.gguf", Same),
    ("llama3.2:3b-instruct-q4_K_M", "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", Same),
    ("llama3.1:8b-instruct-q4_K_M", "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", Same),
    ("/srv/Llama-3.2-3B-Instruct-f16.gguf", "llama3.2:3b-instruct-fp16", Same),
    ("gemma3:4b-it-q4_K_M", "google_gemma-3-4b-it-Q4_K_M.gguf", Same),
    ("gemma2:9b-instruct-q4_K_M", "gemma-2-9b-it-Q4_K_M.gguf", Same),
    ("deepseek-r1:7b-qwen-distill-q4_K_M", "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf", Same),
    ("deepseek-r1:8b-0528-qwen3-q4_K_M", "deepseek-ai_DeepSeek-R1-0528-Qwen3-8B-Q4_K_M.gguf", Same),
    ("qwen2.5vl:3b-q4_K_M", "qwen2.5vl:3b-q4_K_M", Same),
    ("mistral:7b-instruct-v0.2-q4_K_M", "mistral-7b-instruct-v0.2.Q4_K_M.gguf", Same),
    ("tinyllama:1.1b-chat-v1-q4_K_M", "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf", Same),
    ("gpt-oss-20b-MXFP4.gguf", "gpt-oss-20b-mxfp4.gguf", Same),
    ("qwen3:30b-a3b-instruct-2507-q4_K_M", "Qwen3-30B-A3B-Instruct-2507-Q4_K_M.gguf", Same),
    // Clouds that alone have a model.
    ("gpt-4o", "openai/gpt-4o", Same),
    ("claude-haiku-4-5@20251001", "anthropic.claude-haiku-4-5-20251001-v1:0", Same),
    ("models/gemini-2.5-flash", "gemini-2.5-flash", Same),
    ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5", Same),
    ("mistral-medium-latest", "mistral-medium", Same),
    // Something is open.
    ("llama3.2", "llama3.2:latest", Maybe),
    ("llama3.2", "llama3.2:3b-instruct-q4_K_M", Maybe),
    ("llama3.2:3b", "meta-llama/Llama-3.2-3B-Instruct", Maybe),
    ("llama3.2:3b", "llama3.2:3b-instruct-q4_K_M", Maybe),
    ("meta-llama/Llama-3.2-3B", "meta-llama/Llama-3.2-3B-Instruct", Maybe),
    ("@cf/meta/llama-3.2-3b-instruct", "accounts/fireworks/models/llama-v3p2-3b-instruct", Maybe),
    ("meta.llama3-2-3b-instruct-v1:0", "llama3.2:3b-instruct-q4_K_M", Maybe),
    ("Qwen/Qwen3-30B-A3B", "qwen3:30b", Maybe),
    ("mixtral:8x7b", "mistralai/Mixtral-8x7B-Instruct-v0.1", Maybe),
    ("gpt-4o", "gpt-4o-2024-08-06", Maybe),
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", Maybe),
    ("mistral-large-latest", "mistral-large-2411", Maybe),
    ("meta.llama4-scout-17b-instruct-v1:0", "meta-llama/Llama-4-Scout-17B-16E-Instruct", Maybe),
    ("nomic-embed-text:v1.5", "nomic-ai/nomic-embed-text-v1.5", Maybe),
    ("text-embedding-nomic-embed-text-v1.5", "nomic-embed-text", Maybe),
    ("accounts/fireworks/models/kimi-k2p5", "moonshotai.kimi-k2.5", Maybe),
    ("deepseek-ai/DeepSeek-R1", "deepseek-r1:671b", Maybe),
    ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B-FP8", Maybe),
    // Something contradicts: size,
    ("llama3.2:1b", "llama3.2:3b", Different),
    ("qwen3:30b-a3b", "qwen3:32b", Different),
    ("mistral-small:22b", "mistral-small:24b", Different),
    ("mixtral:8x7b", "mixtral:8x22b", Different),
    // quantisation,
    ("llama3.2:3b-instruct-q4_K_M", "llama3.2:3b-instruct-q8_0", Different),
    ("Qwen3-8B-UD-Q4_K_XL.gguf", "Qwen3-8B-Q4_K_M.gguf", Different),
    ("mlx-community/Llama-3.2-3B-Instruct-4bit", "Llama-3.2-3B-Instruct-Q4_K_M.gguf", Different),
    ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", Different),
    ("gpt-oss-20b-F16.gguf", "gpt-oss-20b-mxfp4.gguf", Different),
    // flavour,
    ("qwen2.5:7b", "qwen2.5-coder:7b", Different),
    ("qwen2.5:7b", "qwen2.5vl:7b", Different),
    ("qwen3:30b-a3b-thinking-2507-q4_K_M", "qwen3:30b-a3b-instruct-2507-q4_K_M", Different),
    ("deepseek-r1:7b", "DeepSeek-R1-Distill-Qwen-7B", Different),
    ("Qwen/Qwen3-8B-Base", "lmstudio-community/Qwen3-8B-Instruct-GGUF", Different),
    ("google/gemma-3-4b-pt", "google/gemma-3-4b-it", Different),
    ("llama2:7b", "llama2-uncensored:7b", Different),
    ("gpt-4o", "gpt-4o-mini", Different),
    // version, revision, family.
    ("llama3.1:8b", "llama3:8b", Different),
    ("mistral:7b-instruct-v0.2-q4_0", "mistral:7b-instruct-v0.3-q4_0", Different),
    ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", Different),
    ("NousResearch/Hermes-3-Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct", Different),
    ("codellama:7b", "llama2:7b", Different),
];

#[test]
fn pairs_go_together_as_they_should() {
    for (one, two, likeness) in PAIRS {
        let (first, second) = (Identity::parse(one), Identity::parse(two));
        assert_eq!(first.likeness(&second), likeness, "{one} and {two}: {first} and {second}");
        assert_eq!(second.likeness(&first), likeness, "{two} and {one}");
    }
}

fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(
        "llama llama3.2 qwen2.5vl qwen3 meta gemma gemma3n deepseek r1 o3 gpt 4o 3b 0.5b 8x7b 30b a3b 16e 17b e4b 7b \
         3 2 5 v1 v0.3 3p2 k2p5 20250929 2024 08 06 05 20 2507 0528 001 8192 instruct it base coder vl distill qwen \
         text embed embedding q4_k_m q4 k m 0 fp16 bf16 iq2_xxs ud awq gptq int4 4bit dynamic dwq unsloth 128g \
         latest gguf cloud mlx hf 00001 of 00002 v1:0 -1:0 1m 128k c4ai command code-llama foo bar @ ada anthropic. \
         us. google_ models--a--b text-embedding-x"
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    );
    prop_oneof![9 => known, 1 => "[a-z0-9.]{1,6}"]
}

fn soup() -> impl Strategy<Value = String> {
    let joint = prop::sample::select(vec!["-", "-", "-", "_", ":", ".", "/", "@", "", " "]);
    prop::collection::vec((word(), joint), 0..9)
        .prop_map(|words| words.into_iter().map(|(word, joint)| word + joint).collect())
}

fn check_key(name: &str) -> Result<(), TestCaseError> {
    let identity = Identity::parse(name);
    let key = identity.key();
    prop_assert_eq!(Identity::parse(&key).key(), key);
    prop_assert_ne!(identity.likeness(&identity), Different);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_and_its_key_is_stable(name in any::<String>()) {
        check_key(&name)?;
    }

    #[test]
    fn soups_of_words_have_stable_keys(name in soup()) {
        check_key(&name)?;
    }

    #[test]
    fn likeness_has_no_direction(one in soup(), two in soup()) {
        let (one, two) = (Identity::parse(&one), Identity::parse(&two));
        prop_assert_eq!(one.likeness(&two), two.likeness(&one));
    }
}
