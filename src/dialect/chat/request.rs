//! What is asked of a model.

use super::Json;

/// A request for an answer in a conversation. The model is not in it: its name is the business of whoever sends it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The conversation so far, oldest first. Instructions stand in front as messages of [`Role::System`].
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must; `None` = as it likes, which is [`ToolChoice::Auto`] unsaid.
    pub tool_choice: Option<ToolChoice>,
    /// `Some(false)`: at most one call at a time. Never `Some(true)`, which is what happens anyway.
    pub parallel_tool_calls: Option<bool>,
    /// Tokens of answer at most.
    pub max_tokens: Option<u64>,
    /// How the next token is picked.
    pub sampling: Sampling,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// What the answer must look like.
    pub format: Option<Format>,
    /// How much the model is to think first.
    pub reasoning: Option<Reasoning>,
    /// The answer is to come as it is made.
    pub stream: bool,
    /// A stream is to say at its end what was used. Always true in dialects that always say it.
    pub include_usage: bool,
    /// Whom the client asks for, as the client calls that person.
    pub user: Option<String>,
    /// Tokens of context to load the model with, where a client of Ollama says so (`options.num_ctx`).
    pub context_length: Option<u64>,
    /// How long the model is to stay in memory, as Ollama writes it (`keep_alive`).
    pub keep_alive: Option<Json>,
}

/// How the next token is picked. What is not said, the backend decides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2 in most dialects.
    pub temperature: Option<f64>,
    /// Of the probability mass.
    pub top_p: Option<f64>,
    /// Of the most probable tokens.
    pub top_k: Option<u64>,
    /// Of the probability of the most probable token.
    pub min_p: Option<f64>,
    /// The same seed is to give the same answer.
    pub seed: Option<i64>,
    /// -2 to 2; never 0, which is none.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2; never 0, which is none.
    pub presence_penalty: Option<f64>,
    /// llama.cpp's and Ollama's; never 1, which is none.
    pub repeat_penalty: Option<f64>,
}

/// What one side said at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What, in order. Of an assistant: reasoning, text, calls. Of a tool: exactly one [`Part::ToolResult`].
    pub parts: Vec<Part>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions: `system` or `developer`.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// What came of a call.
    Tool,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text. Never empty where there is another part beside it.
    Text(String),
    /// A picture, a sound, a document.
    Media(Media),
    /// The model wants a tool to be called.
    ToolCall {
        /// What the result is matched by. Where a dialect has none, its decoder makes `call_0`, `call_1`, ... in order.
        id: String,
        /// Of the tool.
        name: String,
        /// An object.
        arguments: Json,
    },
    /// What came of it.
    ToolResult {
        /// The `id` of the call.
        id: String,
        /// [`Part::Text`] and [`Part::Media`] only.
        content: Vec<Part>,
        /// The tool failed.
        is_error: bool,
    },
    /// What the model thought before.
    Reasoning {
        /// In words; empty where only the signature is told.
        text: String,
        /// By which its vendor knows it again. Means something to nobody else.
        signature: Option<String>,
    },
    /// The model said why it will not.
    Refusal(String),
}

/// A piece that is no text.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is.
    pub source: Source,
    /// How closely to look: `low`, `high`, `auto` of OpenAI's dialect.
    pub detail: Option<String>,
    /// What the file is called.
    pub name: Option<String>,
}

/// What a piece is that is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// A moving picture.
    Video,
    /// A document, as a PDF.
    File,
}

/// Where a piece is.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// At an address that the backend is to fetch; never a `data:` URL.
    Url(String),
    /// Here, in base64.
    Data {
        /// As `image/png`.
        media_type: String,
        /// In base64, standard alphabet, as it came.
        data: String,
    },
}

/// What the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// What it is called by.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// A JSON schema of an object; `None` where there are no arguments.
    pub parameters: Option<Json>,
    /// `Some(true)`: the arguments must follow the schema to the letter. Never `Some(false)`, which is nothing said.
    pub strict: Option<bool>,
}

/// Whether the model must call a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// It may not.
    None,
    /// Some tool.
    Required,
    /// This one.
    Named(String),
}

/// What the answer must look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    JsonSchema {
        /// What the schema is called, where a dialect names it.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Json,
        /// To the letter: `Some(true)` or not said.
        strict: Option<bool>,
    },
}

/// How much the model is to think first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// In words; [`Effort::None`] = not at all.
    pub effort: Option<Effort>,
    /// In tokens at most.
    pub budget_tokens: Option<u64>,
}

/// How much, in words, from none to all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as there is.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// As much as there is.
    Max,
    /// As much as the model finds right: Anthropic's `adaptive`, Ollama's `think: true`, Gemini's budget of -1.
    Adaptive,
}

/// A body that was understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// What it asks.
    pub request: ChatRequest,
    /// The fields, by their path in the body, that no other dialect has a word for. A request that has any is served only
    /// by a backend that speaks its own dialect.
    pub uncarried: Vec<String>,
    /// The fields that were left out though they may have been meant: what only a vendor's own servers can run, and agents
    /// name in every request. The client is told.
    pub left_out: Vec<String>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Message { role, parts: vec![Part::Text(text.into())] }
    }
}

impl Sampling {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Sampling::default()
    }
}

impl Effort {
    /// The word that OpenAI's dialects have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Effort::None => "none",
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Max => "xhigh",
            Effort::Adaptive => "adaptive",
        }
    }

    /// What OpenAI's or Anthropic's word for it means.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Effort::None,
            "minimal" => Effort::Minimal,
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            "xhigh" | "max" => Effort::Max,
            "adaptive" => Effort::Adaptive,
            _ => return None,
        })
    }
}
