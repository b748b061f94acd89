//! A server for the tests of this folder: it answers these paths, with their queries, and nothing else.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;

use super::{Busy, Found, Memory};
use crate::env::{ExchangeError, HttpExchange};
use crate::exchange::{Reply, full};
use crate::fleet::{BackendSpec, Kind, Model, Source};

/// What is answered to each path.
#[derive(Default)]
pub(super) struct Answers {
    by_path: BTreeMap<String, String>,
    asked: Mutex<Vec<String>>,
}

impl Answers {
    pub(super) fn of(paths: &[(&str, &str)]) -> Self {
        let by_path = paths.iter().map(|(path, body)| ((*path).to_owned(), (*body).to_owned())).collect();
        Answers { by_path, asked: Mutex::default() }
    }

    /// How many questions had `part` in their path.
    pub(super) fn asked(&self, part: &str) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|path| path.contains(part)).count()
    }
}

impl HttpExchange for Answers {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        self.asked.lock().expect("no panic").push(path.to_owned());
        let (status, body) = match self.by_path.get(path) {
            Some(body) => (200, body.clone()),
            None => (404, r#"{"error":"not found"}"#.to_owned()),
        };
        let reply = http::Response::builder().status(status).body(full(body)).expect("a literal reply");
        Box::pin(async move { Ok(reply) })
    }
}

/// What a check and the question after it have come to.
pub(super) struct Seen {
    pub(super) found: Found,
    pub(super) busy: Option<Busy>,
    /// Questions that were answered with nonsense.
    pub(super) complaints: usize,
}

impl Seen {
    pub(super) fn models(&self) -> &[Model] {
        self.found.models.as_deref().expect("a list")
    }
}

/// Checks a backend of this kind once, and asks how busy it is.
pub(super) async fn check(kind: Kind, answers: &Answers) -> Seen {
    let spec = BackendSpec::new("b", "http://h:1".parse().expect("literal"), kind, Source::Static);
    let (patience, mut memory) = (Duration::from_secs(5), Memory::default());
    let found = super::probe(answers, &spec, patience, &mut memory).await.expect("it is well");
    let busy = super::busy(answers, &spec, patience, &mut memory).await;
    Seen { found, busy, complaints: memory.complaints.count() }
}
