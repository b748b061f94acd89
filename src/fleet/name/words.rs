//! The words that names are made of, as far as they must be known. A new word works without being listed: it is part of
//! the family in front of version and size, and part of the flavour behind them.

/// They tell of files, formats and offers, not of the model.
pub(super) const NOISE: &[&str] = &[
    "gguf",
    "ggml",
    "mlx",
    "onnx",
    "hf",
    "safetensors",
    "bin",
    "llamafile",
    "latest",
    "cloud",
    "free",
    "nitro",
    "floor",
    "exacto",
    "i1",
    "imatrix",
    "imat",
    "quantized",
    "quant",
    "split",
    "mlc",
    "openvino",
    "ov",
    "maas",
    "default",
];

/// Flavours that may stand in front of version and size. Sorted.
pub(super) const FLAVOURS: &[&str] = &[
    "abliterated",
    "alpha",
    "audio",
    "base",
    "beta",
    "chat",
    "code",
    "coder",
    "codex",
    "deep",
    "distill",
    "dpo",
    "embed",
    "exp",
    "fast",
    "flash",
    "guard",
    "haiku",
    "instant",
    "instruct",
    "it",
    "large",
    "lite",
    "live",
    "math",
    "max",
    "maverick",
    "medium",
    "micro",
    "mini",
    "moderation",
    "moe",
    "multilingual",
    "nano",
    "next",
    "non",
    "omni",
    "opus",
    "plus",
    "preview",
    "premier",
    "pro",
    "pt",
    "qat",
    "realtime",
    "reasoning",
    "rerank",
    "research",
    "reward",
    "scout",
    "search",
    "sft",
    "small",
    "sonnet",
    "speciale",
    "super",
    "text",
    "thinking",
    "tiny",
    "tool",
    "tools",
    "transcribe",
    "tts",
    "turbo",
    "ultra",
    "uncensored",
    "use",
    "vision",
    "vl",
    "xl",
    "xs",
    "zero",
];

/// Another spelling of a flavour.
pub(super) fn plain(word: &str) -> &str {
    match word {
        "embedding" | "embeddings" => "embed",
        "experimental" => "exp",
        "reranker" => "rerank",
        word => word,
    }
}

/// Words of two that are a family though they look like flavours.
pub(super) const FAMILIES: &[(&str, &str)] = &[("text", "embedding")];

/// Makers named in front of their own family, where others leave them out.
pub(super) const MAKERS: [(&str, &str); 5] =
    [("meta", "llama"), ("c4ai", "command"), ("c4ai", "aya"), ("mistralai", "mistral"), ("nvidia", "nemotron")];

/// Families that others were tuned from or distilled into: behind another family they are a flavour of it.
pub(super) const BASES: &[&str] = &["llama", "qwen"];

/// LM Studio puts `text-embedding-` in front of embedding models. Names of others begin with it too, and go on so.
pub(super) const EMBEDDING_PREFIX: &str = "text-embedding-";
pub(super) const OWN_EMBEDDINGS: &[&str] = &["ada", "bison", "gecko", "large", "preview"];

/// Publishers that files of others are named after: `Qwen_Qwen3-8B`.
pub(super) const PUBLISHERS: &[&str] = &[
    "agentica-org",
    "allenai",
    "arcee-ai",
    "baidu",
    "bytedance-seed",
    "cohereforai",
    "coherelabs",
    "deepseek-ai",
    "dphn",
    "google",
    "huggingfacetb",
    "ibm-granite",
    "inclusionai",
    "internlm",
    "kwaipilot",
    "lgai-exaone",
    "liquidai",
    "meta-llama",
    "microsoft",
    "minimaxai",
    "mistralai",
    "moonshotai",
    "nousresearch",
    "nvidia",
    "open-thoughts",
    "openai",
    "opengvlab",
    "primeintellect",
    "qwen",
    "servicenow-ai",
    "stepfun-ai",
    "tencent",
    "thedrummer",
    "thudm",
    "tiiuae",
    "tngtech",
    "xiaomimimo",
    "zai-org",
    "zyphra",
];

/// Makers in front of a dot: `anthropic.claude-sonnet-4`.
pub(super) const VENDORS: &[&str] = &[
    "ai21",
    "amazon",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "luma",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "moonshotai",
    "twelvelabs",
    "nvidia",
    "openai",
    "qwen",
    "stability",
    "writer",
    "zai",
];

/// Regions in front of a maker and a dot.
pub(super) const REGIONS: &[&str] = &["apac", "au", "ca", "eu", "global", "jp", "us", "us-gov", "sa"];

/// Families whose weights nobody else can serve: their names say all there is to know.
pub(super) const CLOSED: &[&str] = &[
    "babbage",
    "chatgpt",
    "claude",
    "codex",
    "computer-use",
    "davinci",
    "gemini",
    "gpt",
    "grok",
    "nova",
    "o1",
    "o3",
    "o4",
    "omni",
    "sonar",
    "text-embedding",
    "text-embedding-ada",
    "titan",
    "voyage",
    "embed",
    "rerank",
    "tts",
    "palm",
];
