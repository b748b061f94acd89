//! The bodies of requests as clients write them. What they mean is for [`super::request`] and [`super::history`] to
//! say.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::loose::{Several, Think, Whole, Word};
use crate::dialect::chat::{Hint, Json};

/// The body of `/api/chat`.
#[derive(Deserialize)]
pub(super) struct ChatBody<'a> {
    /// The business of whoever sends the request on.
    #[serde(default, rename = "model")]
    pub(super) _model: Hint,
    #[serde(borrow)]
    pub(super) messages: Option<Vec<MessageBody<'a>>>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<ToolBody<'a>>>,
    pub(super) stream: Option<bool>,
    pub(super) format: Option<Json>,
    pub(super) think: Option<Think>,
    pub(super) options: Option<Options>,
    pub(super) keep_alive: Option<Json>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<Whole>,
    #[serde(rename = "_debug_render_only")]
    pub(super) debug_render_only: Option<bool>,
    /// What to do with a prompt that does not fit.
    #[serde(default, rename = "truncate")]
    pub(super) _truncate: Hint,
    /// What to do with an answer that does not fit.
    #[serde(default, rename = "shift")]
    pub(super) _shift: Hint,
}

/// The body of `/api/generate`.
#[derive(Deserialize)]
pub(super) struct GenerateBody<'a> {
    /// The business of whoever sends the request on.
    #[serde(default, rename = "model")]
    pub(super) _model: Hint,
    pub(super) prompt: Option<String>,
    pub(super) system: Option<String>,
    #[serde(borrow)]
    pub(super) images: Option<Vec<Word<'a>>>,
    #[serde(borrow)]
    pub(super) suffix: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) template: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) context: Option<&'a RawValue>,
    pub(super) raw: Option<bool>,
    pub(super) stream: Option<bool>,
    pub(super) format: Option<Json>,
    pub(super) think: Option<Think>,
    pub(super) options: Option<Options>,
    pub(super) keep_alive: Option<Json>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<Whole>,
    #[serde(rename = "_debug_render_only")]
    pub(super) debug_render_only: Option<bool>,
    /// What to do with a prompt that does not fit.
    #[serde(default, rename = "truncate")]
    pub(super) _truncate: Hint,
    /// What to do with an answer that does not fit.
    #[serde(default, rename = "shift")]
    pub(super) _shift: Hint,
}

/// One of `messages`. What names a tool is looked at in a tool's message only, as Ollama does.
#[derive(Deserialize)]
pub(super) struct MessageBody<'a> {
    #[serde(borrow)]
    pub(super) role: Option<Word<'a>>,
    pub(super) content: Option<String>,
    pub(super) thinking: Option<String>,
    #[serde(borrow)]
    pub(super) images: Option<Vec<Word<'a>>>,
    pub(super) tool_calls: Option<Vec<CallBody>>,
    /// Of a tool's message: which tool.
    #[serde(borrow)]
    pub(super) tool_name: Option<Word<'a>>,
    /// An older word for `tool_name`.
    #[serde(borrow)]
    pub(super) name: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) tool_call_id: Option<Word<'a>>,
}

/// One of `tool_calls`.
#[derive(Deserialize)]
pub(super) struct CallBody {
    pub(super) id: Option<String>,
    /// Always `function`; Ollama does not look at it.
    #[serde(default, rename = "type")]
    pub(super) _kind: Hint,
    pub(super) function: Option<CalledBody>,
}

/// What is called.
#[derive(Deserialize)]
pub(super) struct CalledBody {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<Json>,
    /// Where it stands among the calls, which its place says already.
    #[serde(default, rename = "index")]
    pub(super) _index: Hint,
}

/// One of `tools`.
#[derive(Deserialize)]
pub(super) struct ToolBody<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Word<'a>>,
    pub(super) function: Option<FunctionBody>,
}

/// What may be called.
#[derive(Deserialize)]
pub(super) struct FunctionBody {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) parameters: Option<Json>,
    /// A word of OpenAI's that Ollama does not look at.
    #[serde(default, rename = "strict")]
    pub(super) _strict: Hint,
}

/// `options`: how the next token is picked, and how the model is loaded.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<Whole>,
    pub(super) min_p: Option<f64>,
    pub(super) seed: Option<Whole>,
    pub(super) stop: Option<Several>,
    pub(super) num_predict: Option<Whole>,
    pub(super) num_ctx: Option<Whole>,
    pub(super) frequency_penalty: Option<f64>,
    pub(super) presence_penalty: Option<f64>,
    pub(super) repeat_penalty: Option<f64>,
    pub(super) mirostat: Option<Whole>,
    pub(super) mirostat_tau: Option<f64>,
    pub(super) mirostat_eta: Option<f64>,
    pub(super) tfs_z: Option<f64>,
    pub(super) typical_p: Option<f64>,
    pub(super) repeat_last_n: Option<Whole>,
    pub(super) penalize_newline: Option<bool>,
    /// What follows says how the server is to load the model; it does not change what is asked.
    #[serde(rename = "numa")]
    pub(super) _numa: Hint,
    #[serde(rename = "num_batch")]
    pub(super) _num_batch: Hint,
    #[serde(rename = "num_gpu")]
    pub(super) _num_gpu: Hint,
    #[serde(rename = "main_gpu")]
    pub(super) _main_gpu: Hint,
    #[serde(rename = "low_vram")]
    pub(super) _low_vram: Hint,
    #[serde(rename = "use_mmap")]
    pub(super) _use_mmap: Hint,
    #[serde(rename = "use_mlock")]
    pub(super) _use_mlock: Hint,
    #[serde(rename = "num_thread")]
    pub(super) _num_thread: Hint,
    #[serde(rename = "num_keep")]
    pub(super) _num_keep: Hint,
    #[serde(rename = "f16_kv")]
    pub(super) _f16_kv: Hint,
    #[serde(rename = "logits_all")]
    pub(super) _logits_all: Hint,
    #[serde(rename = "vocab_only")]
    pub(super) _vocab_only: Hint,
    #[serde(rename = "embedding_only")]
    pub(super) _embedding_only: Hint,
}
