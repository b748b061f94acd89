//! Requests to a backend's `/api/chat`, all but the conversation. What Ollama has no word for is refused by name.

use serde::{Serialize, Serializer};

use super::turns::{self, AskMessage};
use crate::dialect::chat::{ChatRequest, Effort, Format, Json, Reasoning, Sampling, Tool, ToolChoice, Unsupported};

/// Writes the body of `/api/chat`. Whom the client asks for, the name of a schema, how closely to look at a picture,
/// how closely a call must follow its schema and the signature of a thought are left out: Ollama has no use for them. It has three words for how much to think,
/// of which the nearest is taken.
///
/// # Errors
/// What Ollama cannot be asked for.
pub fn encode_request(request: &ChatRequest, model: &str) -> Result<Vec<u8>, Unsupported> {
    let mut refused = Unsupported::default();
    refuse(request, &mut refused);
    let messages = turns::encode(&request.messages, &mut refused);
    refused.check()?;
    let may_call = request.tool_choice != Some(ToolChoice::None);
    let options = AskOptions::of(request);
    let body = Ask {
        model,
        messages,
        tools: request.tools.iter().filter(|_| may_call).map(AskTool::of).collect(),
        stream: request.stream,
        format: request.format.as_ref().map(AskFormat),
        think: request.reasoning.as_ref().and_then(AskThink::of),
        options: (options != AskOptions::default()).then_some(options),
        keep_alive: request.keep_alive.as_ref(),
    };
    Ok(serde_json::to_vec(&body).expect("a body is made of strings, numbers and JSON"))
}

fn refuse(request: &ChatRequest, refused: &mut Unsupported) {
    refused.note(request.tool_choice == Some(ToolChoice::Required), "tool_choice: a call that must be made");
    refused.note(matches!(request.tool_choice, Some(ToolChoice::Named(_))), "tool_choice: a tool by its name");
    refused.note(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    refused.note(request.max_tokens == Some(0), "max_tokens: 0");
}

#[derive(Serialize)]
struct Ask<'a> {
    model: &'a str,
    messages: Vec<AskMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<AskTool<'a>>,
    /// Always written: Ollama streams where nothing is said.
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<AskFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<AskThink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<AskOptions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a Json>,
}

#[derive(Serialize)]
struct AskTool<'a> {
    r#type: &'static str,
    function: AskFunction<'a>,
}

#[derive(Serialize)]
struct AskFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Json>,
}

impl<'a> AskTool<'a> {
    fn of(tool: &'a Tool) -> Self {
        let (description, parameters) = (tool.description.as_deref(), tool.parameters.as_ref());
        AskTool { r#type: "function", function: AskFunction { name: &tool.name, description, parameters } }
    }
}

/// The word `json`, or a schema.
struct AskFormat<'a>(&'a Format);

impl Serialize for AskFormat<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Format::JsonObject => to.serialize_str("json"),
            Format::JsonSchema { schema, .. } => schema.serialize(to),
        }
    }
}

/// Whether to think, or how much in words.
enum AskThink {
    Whether(bool),
    Word(&'static str),
}

impl AskThink {
    fn of(reasoning: &Reasoning) -> Option<Self> {
        Some(match (reasoning.effort, reasoning.budget_tokens) {
            (Some(Effort::None), _) | (None, Some(0)) => AskThink::Whether(false),
            (Some(Effort::Adaptive), _) => AskThink::Whether(true),
            (Some(Effort::Minimal | Effort::Low), _) | (None, Some(..=2048)) => AskThink::Word("low"),
            (Some(Effort::Medium), _) | (None, Some(..=8192)) => AskThink::Word("medium"),
            (Some(Effort::High | Effort::Max), _) | (None, Some(_)) => AskThink::Word("high"),
            (None, None) => return None,
        })
    }
}

impl Serialize for AskThink {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            AskThink::Whether(whether) => to.serialize_bool(*whether),
            AskThink::Word(word) => to.serialize_str(word),
        }
    }
}

#[derive(Default, PartialEq, Serialize)]
struct AskOptions<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_ctx: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
}

impl<'a> AskOptions<'a> {
    fn of(request: &'a ChatRequest) -> Self {
        let Sampling { temperature, top_p, top_k, min_p, seed, .. } = request.sampling;
        let Sampling { frequency_penalty, presence_penalty, repeat_penalty, .. } = request.sampling;
        AskOptions {
            num_predict: request.max_tokens,
            num_ctx: request.context_length,
            temperature,
            top_p,
            top_k,
            min_p,
            seed,
            frequency_penalty,
            presence_penalty,
            repeat_penalty,
            stop: &request.stop,
        }
    }
}
