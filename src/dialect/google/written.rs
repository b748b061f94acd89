//! Contents as they are written, in requests as in answers; they borrow from the canonical form.

use std::borrow::Cow;

use serde::Serialize;

use super::media;
use crate::dialect::chat::Json;

#[derive(Debug, Serialize)]
pub(super) struct Content<'a> {
    pub(super) parts: Vec<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_response: Option<FunctionResponse<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    pub(super) mime_type: &'a str,
    pub(super) data: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<&'static str>,
    pub(super) file_uri: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionCall<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) name: &'a str,
    pub(super) args: Cow<'a, Json>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionResponse<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) response: Outcome<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<ResponsePart<'a>>,
}

/// What came of a call: one of the two.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outcome<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResponsePart<'a> {
    pub(super) inline_data: Blob<'a>,
}

impl<'a> Part<'a> {
    /// A text.
    pub(super) fn text(text: &'a str) -> Self {
        Part { text: Some(text), ..Part::default() }
    }

    /// A thought. A signature that is no base64 cannot be written.
    pub(super) fn thought(text: &'a str, signature: Option<&'a str>) -> Self {
        let thought_signature = signature.and_then(|signature| media::standard_base64(signature.to_owned()));
        Part { text: Some(text), thought: Some(true), thought_signature, ..Part::default() }
    }

    /// A call.
    pub(super) fn call(id: Cow<'a, str>, name: &'a str, args: Cow<'a, Json>) -> Self {
        Part { function_call: Some(FunctionCall { id, name, args }), ..Part::default() }
    }
}
