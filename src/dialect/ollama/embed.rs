//! Embeddings: `/api/embed`, and `/api/embeddings`, which came before it and takes one text.

use serde::{Deserialize, Serialize};

use super::loose::{MaybeCount, MaybeWord, Several, Whole};
use super::reply::garbled;
use crate::dialect::chat::{EmbedReply, EmbedRequest, Garbled, Hint, Label, read_body};
use crate::dialect::inspect::BadRequest;

/// Reads the body of `/api/embed`: what it asks, and the fields that no other dialect has. One without inputs asks that
/// the model be loaded.
///
/// # Errors
/// What is wrong with it and where.
pub fn decode_embed_request(body: &str) -> Result<(EmbedRequest, Vec<String>), BadRequest> {
    let mut uncarried = Vec::new();
    let body: EmbedBody = read_body(body, &mut uncarried)?;
    let inputs = body.input.unwrap_or_default().0;
    let dimensions = body.dimensions.and_then(|count| u64::try_from(count.0).ok()).filter(|count| *count > 0);
    Ok((EmbedRequest { inputs, dimensions, base64: false }, uncarried))
}

/// Reads the body of `/api/embeddings`, as [`decode_embed_request`] does.
///
/// # Errors
/// What is wrong with it and where.
pub fn decode_embeddings_request(body: &str) -> Result<(EmbedRequest, Vec<String>), BadRequest> {
    let mut uncarried = Vec::new();
    let body: EmbeddingsBody = read_body(body, &mut uncarried)?;
    let inputs = body.prompt.into_iter().filter(|prompt| !prompt.is_empty()).collect();
    Ok((EmbedRequest { inputs, ..EmbedRequest::default() }, uncarried))
}

/// Writes the body of `/api/embed`. The numbers come as JSON in any case.
pub fn encode_embed_request(request: &EmbedRequest, model: &str) -> Vec<u8> {
    let body = AskEmbed { model, input: &request.inputs, dimensions: request.dimensions };
    serde_json::to_vec(&body).expect("a body is made of strings and numbers")
}

/// Reads an answer of `/api/embed`.
///
/// # Errors
/// It is none.
pub fn decode_embed_reply(body: &[u8]) -> Result<EmbedReply, Garbled> {
    let answer: EmbedAnswer<'_> = serde_json::from_slice(body).map_err(|_| garbled("it has no `embeddings`"))?;
    if !answer.embeddings.iter().flatten().all(|number| number.is_finite()) {
        return Err(garbled("an embedding holds a number that is too large"));
    }
    let model = answer.model.0.map(std::borrow::Cow::into_owned).filter(|model| !model.is_empty());
    Ok(EmbedReply { model, vectors: answer.embeddings, prompt_tokens: answer.prompt_eval_count.0 })
}

/// Writes an answer of `/api/embed`.
pub fn encode_embed_reply(reply: &EmbedReply, label: &Label) -> Vec<u8> {
    let answer = SaidEmbed {
        model: &label.model,
        embeddings: &reply.vectors,
        total_duration: 0,
        load_duration: 0,
        prompt_eval_count: reply.prompt_tokens,
    };
    serde_json::to_vec(&answer).expect("an answer is made of strings and numbers")
}

/// Writes an answer of `/api/embeddings`, which has room for one embedding.
pub fn encode_embeddings_reply(reply: &EmbedReply) -> Vec<u8> {
    let embedding = reply.vectors.first().map_or(&[][..], Vec::as_slice);
    serde_json::to_vec(&SaidEmbedding { embedding }).expect("an answer is made of numbers")
}

#[derive(Deserialize)]
struct EmbedBody {
    /// The business of whoever sends the request on.
    #[serde(default, rename = "model")]
    _model: Hint,
    input: Option<Several>,
    dimensions: Option<Whole>,
    /// What to do with an input that does not fit.
    #[serde(default, rename = "truncate")]
    _truncate: Hint,
    /// How the model is to be loaded.
    #[serde(default, rename = "options")]
    _options: Hint,
    /// How long it is to stay loaded.
    #[serde(default, rename = "keep_alive")]
    _keep_alive: Hint,
}

#[derive(Deserialize)]
struct EmbeddingsBody {
    /// The business of whoever sends the request on.
    #[serde(default, rename = "model")]
    _model: Hint,
    prompt: Option<String>,
    /// How the model is to be loaded.
    #[serde(default, rename = "options")]
    _options: Hint,
    /// How long it is to stay loaded.
    #[serde(default, rename = "keep_alive")]
    _keep_alive: Hint,
}

#[derive(Serialize)]
struct AskEmbed<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

#[derive(Deserialize)]
struct EmbedAnswer<'a> {
    #[serde(borrow, default)]
    model: MaybeWord<'a>,
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    prompt_eval_count: MaybeCount,
}

#[derive(Serialize)]
struct SaidEmbed<'a> {
    model: &'a str,
    embeddings: &'a [Vec<f32>],
    total_duration: u64,
    load_duration: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u64>,
}

#[derive(Serialize)]
struct SaidEmbedding<'a> {
    embedding: &'a [f32],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(inputs: &[&str], dimensions: Option<u64>) -> EmbedRequest {
        EmbedRequest { inputs: inputs.iter().map(|&input| input.to_owned()).collect(), dimensions, base64: false }
    }

    #[test]
    fn inputs_are_one_text_or_several() {
        let decode = |body: &str| decode_embed_request(body).unwrap();
        assert_eq!(decode(r#"{"model":"m","input":"a"}"#), (asked(&["a"], None), vec![]));
        assert_eq!(decode(r#"{"model":"m","input":""}"#), (asked(&[], None), vec![]));
        let all = r#"{"input":["a","b"],"truncate":false,"dimensions":8,"options":{"num_ctx":1},"keep_alive":"5m"}"#;
        assert_eq!(decode(all), (asked(&["a", "b"], Some(8)), vec![]));
        assert_eq!(
            decode(r#"{"input":["a"],"dimensions":0,"other":1}"#),
            (asked(&["a"], None), vec!["other".to_owned()])
        );
        assert!(decode_embed_request(r#"{"input":[1,2]}"#).is_err());
        let legacy = decode_embeddings_request(r#"{"model":"m","prompt":"a","options":null,"keep_alive":0}"#).unwrap();
        assert_eq!(legacy, (asked(&["a"], None), vec![]));
        assert_eq!(decode_embeddings_request("{}").unwrap(), (asked(&[], None), vec![]));
    }

    #[test]
    fn requests_and_replies_come_back_as_they_went() {
        let request = asked(&["a", ""], Some(3));
        let body = String::from_utf8(encode_embed_request(&request, "m")).unwrap();
        assert_eq!(decode_embed_request(&body).unwrap().0, request);
        let label = Label { model: "m".to_owned(), id: String::new(), created: 0, include_usage: true };
        let vectors = vec![vec![0.1, -1.0e-7], vec![]];
        let reply = EmbedReply { model: Some("m".to_owned()), vectors, prompt_tokens: Some(4) };
        assert_eq!(decode_embed_reply(&encode_embed_reply(&reply, &label)), Ok(reply.clone()));
        assert_eq!(encode_embeddings_reply(&reply), br#"{"embedding":[0.1,-1e-7]}"#);
        assert_eq!(encode_embeddings_reply(&EmbedReply::default()), br#"{"embedding":[]}"#);
    }

    #[test]
    fn what_is_no_answer_is_garbled() {
        for body in
            ["", "{}", "[]", r#"{"embeddings":null}"#, r#"{"embeddings":[["a"]]}"#, r#"{"embeddings":[[1e39]]}"#]
        {
            assert!(decode_embed_reply(body.as_bytes()).is_err(), "{body}");
        }
        let sparse = decode_embed_reply(br#"{"embeddings":[[1]],"model":null,"prompt_eval_count":null,"more":{}}"#);
        assert_eq!(sparse, Ok(EmbedReply { model: None, vectors: vec![vec![1.0]], prompt_tokens: None }));
    }
}
