//! Embeddings, there and back.

use crate::dialect::chat::{EmbedReply, EmbedRequest};
use crate::dialect::google::{decode_embed_reply, decode_embed_request, encode_embed_reply, encode_embed_request};

#[test]
fn requests_are_read_and_written() {
    let one = r#"{"model":"models/m","content":{"parts":[{"text":"a"},{"text":"b"}]},"taskType":"CLUSTERING"}"#;
    let read = decode_embed_request(one, false).expect("a request");
    assert_eq!(read, EmbedRequest { inputs: vec!["a\nb".to_owned()], dimensions: None, base64: false });
    let request =
        EmbedRequest { inputs: vec!["a".to_owned(), "b".to_owned()], dimensions: Some(8), ..EmbedRequest::default() };
    let body = String::from_utf8(encode_embed_request(&request, "m").expect("a body")).expect("text");
    assert_eq!(
        body,
        concat!(
            r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"outputDimensionality":8},"#,
            r#"{"model":"models/m","content":{"parts":[{"text":"b"}]},"outputDimensionality":8}]}"#
        )
    );
    assert_eq!(decode_embed_request(&body, true).expect("a request"), request);
}

#[test]
fn bad_requests_are_refused() {
    for body in [
        "{}",
        r#"{"requests":[]}"#,
        r#"{"requests":[{"content":{"parts":[]}}]}"#,
        r#"{"requests":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}}]}"#,
        r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},
            {"content":{"parts":[{"text":"b"}]},"outputDimensionality":8}]}"#,
        r#"{"requests":[{"content":{"parts":[{"text":"a"}]},"novelty":1}]}"#,
    ] {
        assert!(decode_embed_request(body, true).is_err(), "{body}");
    }
    let batch = |count: usize| {
        format!("{{\"requests\":[{}]}}", vec![r#"{"content":{"parts":[{"text":"a"}]}}"#; count].join(","))
    };
    assert_eq!(decode_embed_request(&batch(2048), true).expect("not too many").inputs.len(), 2048);
    let told = decode_embed_request(&batch(2049), true).expect_err("too many").to_string();
    assert_eq!(told, "`requests`: are 2049: send at most 2048 at once");
    let many = EmbedRequest { inputs: vec![String::new(); 101], ..EmbedRequest::default() };
    assert_eq!(encode_embed_request(&many, "m").expect_err("too many").0, ["input: more than 100 texts"]);
}

#[test]
fn replies_come_back_as_they_were() {
    let reply = EmbedReply { model: None, vectors: vec![vec![0.1, -2.5], vec![1e-7, 0.0]], prompt_tokens: Some(3) };
    assert_eq!(decode_embed_reply(&encode_embed_reply(&reply, true)).expect("a reply"), reply);
    let one = EmbedReply { model: None, vectors: vec![vec![0.5]], prompt_tokens: None };
    assert_eq!(encode_embed_reply(&one, false), br#"{"embedding":{"values":[0.5]}}"#);
    for body in ["{}", "{", r#"{"embeddings":[]}"#, r#"{"embeddings":[{}]}"#] {
        assert!(decode_embed_reply(body.as_bytes()).is_err(), "{body}");
    }
}
