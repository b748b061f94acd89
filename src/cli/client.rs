//! Talking to a running node: where it is, and its management API over plain HTTP. What answers mean is up to the
//! commands.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::time::timeout;

use super::tell;
use crate::config::{self, ADMIN_TOKEN, Config, LoadError, Loaded, Sources};
use crate::env::{Exchange, ExchangeError, HttpExchange, RealNet};
use crate::exchange::{Body, Reply};

/// How long a node may take to accept a connection. It is mostly on this machine.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// How long a node may take to answer; adding a backend may probe it several times.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody there, or somebody who is not a node.
    #[error("cannot reach nexus at {url} ({reason})")]
    Unreachable { url: String, reason: String },
    /// The node said no.
    #[error("{message}")]
    Refused { status: StatusCode, message: String },
}

/// A way to the node that this machine's configuration describes.
pub(super) struct Client {
    http: Exchange,
    /// Roots of URLs, in the order in which they are tried.
    places: Vec<String>,
    token: Option<String>,
    pub(super) loaded: Loaded,
}

impl Client {
    /// # Errors
    /// The configuration cannot be read.
    pub(super) fn find(file: Option<&Path>) -> anyhow::Result<Self> {
        Self::with(file, false, &config::process)
    }

    /// The same for a file that may be about to be made.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub(super) fn find_or_new(file: &Path) -> anyhow::Result<Self> {
        Self::with(Some(file), true, &config::process)
    }

    /// The same where the file may be wrong: the node that was started from it may well run, and say so.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn find_anyhow(file: Option<&Path>) -> anyhow::Result<Self> {
        let sources = || Sources { file, optional: false, lookup: &config::process, flags: toml::Table::new() };
        match config::load(sources()) {
            Ok(loaded) => Ok(Self::of(file, loaded, &config::process)),
            Err(error @ LoadError::Unreadable { .. }) => Err(error.into()),
            Err(error) => {
                let loaded = config::whereabouts(&sources()).map_err(|_| error)?;
                tell("Warning: the configuration file has problems: `nexus config reload --dry-run` says which.");
                Ok(Self::of(file, loaded, &config::process))
            }
        }
    }

    fn with(file: Option<&Path>, optional: bool, lookup: &config::Lookup<'_>) -> anyhow::Result<Self> {
        let loaded = config::load(Sources { file, optional, lookup, flags: toml::Table::new() })?;
        Ok(Self::of(file, loaded, lookup))
    }

    fn of(file: Option<&Path>, loaded: Loaded, lookup: &config::Lookup<'_>) -> Self {
        let named = loaded.config.auth.admin_token_env.trim();
        let token = lookup(ADMIN_TOKEN).or_else(|| lookup(named).filter(|_| !named.is_empty()));
        let http = Exchange::new(Arc::new(RealNet), CONNECT_DEADLINE);
        Client { http, places: places(file.is_some(), &loaded), token, loaded }
    }

    /// The same as a client of the models: with a client's key, and at `url` if one is named. The admin token is shown
    /// to nobody then.
    pub(super) fn for_caller(mut self, url: Option<String>, key: Option<String>) -> Self {
        if let Some(url) = url {
            self.places = vec![url];
        }
        self.token = key;
        self
    }

    /// The root that is tried first.
    pub(super) fn first_place(&self) -> &str {
        self.places.first().map_or("nowhere", String::as_str)
    }

    /// What stands at `path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, None).await
    }

    /// What stands at `path`, and the root of the node that said so.
    pub(super) async fn get_and_place<T: DeserializeOwned>(&self, path: &str) -> Result<(T, &str), ClientError> {
        self.call_and_place(Method::GET, path, None).await
    }

    /// What `path` answers to `body`.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Json) -> Result<T, ClientError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Removes what stands at `path`.
    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::DELETE, path, None).await
    }

    /// What `path` tells for as long as it tells anything, and the root of the node that does.
    ///
    /// # Errors
    /// Nobody is there, or the node says no.
    pub(super) async fn follow(&self, path: &str) -> Result<(Body, &str), ClientError> {
        let mut nobody = None;
        for place in &self.places {
            let unreachable = |reason: &str| ClientError::Unreachable { url: place.clone(), reason: reason.to_owned() };
            let reply =
                match timeout(ANSWER_DEADLINE, self.send(&Method::GET, &format!("{place}{path}"), None, None)).await {
                    Ok(Ok(reply)) => reply,
                    Ok(Err(ExchangeError::Connect(reason))) => {
                        nobody.get_or_insert_with(|| unreachable(&reason));
                        continue;
                    }
                    Ok(Err(ExchangeError::Broken(reason))) => return Err(unreachable(&reason)),
                    Err(_) => return Err(unreachable("no answer in time")),
                };
            let status = reply.status();
            let content_type = reply.headers().get(http::header::CONTENT_TYPE).map(|value| value.as_bytes());
            if content_type.is_some_and(|value| value.starts_with(b"text/html")) {
                return Err(Misread::NotNexus(status).at(place));
            }
            if status.is_success() {
                return Ok((reply.into_body(), place));
            }
            let body = Limited::new(reply.into_body(), LARGEST_ANSWER).collect().await;
            let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
            read::<Json>(status, &bytes).map_err(|refusal| refusal.at(place))?;
        }
        Err(nobody
            .unwrap_or_else(|| ClientError::Unreachable { url: "nowhere".to_owned(), reason: "no address".to_owned() }))
    }

    /// What `path` answers to `body`, and what tells the state that it speaks of from others. With `seen` only if that is
    /// still the state there.
    pub(super) async fn tagged<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        seen: Option<&str>,
    ) -> Result<(T, Option<String>), ClientError> {
        self.answer_of(method, path, body, seen).await.map(|(answer, tag, _)| (answer, tag))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<T, ClientError> {
        self.call_and_place(method, path, body).await.map(|(answer, _)| answer)
    }

    async fn call_and_place<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<(T, &str), ClientError> {
        self.answer_of(method, path, body, None).await.map(|(answer, _, place)| (answer, place))
    }

    async fn answer_of<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        seen: Option<&str>,
    ) -> Result<(T, Option<String>, &str), ClientError> {
        let mut nobody = Vec::new();
        for place in &self.places {
            let unreachable = |reason: &str| ClientError::Unreachable { url: place.clone(), reason: reason.to_owned() };
            let url = format!("{place}{path}");
            let exchange = self.exchange(&method, &url, body, seen);
            match timeout(ANSWER_DEADLINE, exchange).await {
                Ok(Ok((status, tag, bytes))) => {
                    let answer = read(status, &bytes).map_err(|refusal| refusal.at(place))?;
                    return Ok((answer, tag, place));
                }
                Ok(Err(ExchangeError::Connect(reason))) => nobody.push(unreachable(&reason)),
                Ok(Err(ExchangeError::Broken(reason))) => return Err(unreachable(&reason)),
                Err(_) => return Err(unreachable("no answer in time")),
            }
        }
        Err(nobody
            .into_iter()
            .next()
            .unwrap_or_else(|| ClientError::Unreachable { url: "nowhere".to_owned(), reason: "no address".to_owned() }))
    }

    async fn exchange(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Json>,
        seen: Option<&str>,
    ) -> Result<(StatusCode, Option<String>, Bytes), ExchangeError> {
        let reply = self.send(method, url, body, seen).await?;
        let status = reply.status();
        let tag = reply.headers().get(http::header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let bytes = Limited::new(reply.into_body(), LARGEST_ANSWER).collect().await.map_err(|error| broken(&*error))?;
        Ok((status, tag, bytes.to_bytes()))
    }

    async fn send(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Json>,
        seen: Option<&str>,
    ) -> Result<Reply, ExchangeError> {
        let mut request = http::Request::builder().method(method).uri(url);
        if body.is_some() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(seen) = seen {
            request = request.header(http::header::IF_MATCH, seen);
        }
        let body = body.map(Json::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| broken(&error))?;
        self.http.send(request).await
    }
}

fn broken(error: &(impl std::fmt::Display + ?Sized)) -> ExchangeError {
    ExchangeError::Broken(error.to_string())
}

enum Misread {
    Refused(StatusCode, String),
    NotNexus(StatusCode),
}

impl Misread {
    fn at(self, place: &str) -> ClientError {
        match self {
            Misread::Refused(status, message) => ClientError::Refused { status, message },
            Misread::NotNexus(status) => ClientError::Unreachable {
                url: place.to_owned(),
                reason: format!("what answers there, with status {}, is not nexus", status.as_u16()),
            },
        }
    }
}

fn read<T: DeserializeOwned>(status: StatusCode, bytes: &[u8]) -> Result<T, Misread> {
    if status.is_success() {
        return serde_json::from_slice(bytes).map_err(|_| Misread::NotNexus(status));
    }
    let error: Option<Json> = serde_json::from_slice(bytes).ok();
    match error.as_ref().and_then(|error| error["error"]["message"].as_str()) {
        Some(message) => Err(Misread::Refused(status, message.to_owned())),
        None => Err(Misread::NotNexus(status)),
    }
}

/// A file named on the command line is about a node in particular: if it says where, that is tried first. Then the
/// place that `nexus serve` would take in the same environment.
fn places(named: bool, loaded: &Loaded) -> Vec<String> {
    let mut places = Vec::new();
    let server = loaded.from_file.get("server");
    let from_file = |key: &str| server.and_then(|server| server.get(key));
    if named && (from_file("port").is_some() || from_file("host").is_some()) {
        let defaults = Config::default().server;
        let host = from_file("host").and_then(toml::Value::as_str).unwrap_or(&defaults.host);
        let port = from_file("port").and_then(toml::Value::as_integer).and_then(|port| port.try_into().ok());
        places.push(root(host, port.unwrap_or(defaults.port)));
    }
    let effective = root(&loaded.config.server.host, loaded.config.server.port);
    if !places.contains(&effective) {
        places.push(effective);
    }
    places
}

/// Every address of a machine includes loopback.
fn root(host: &str, port: u16) -> String {
    match host.trim().trim_matches(['[', ']']) {
        "0.0.0.0" => format!("http://127.0.0.1:{port}"),
        "::" => format!("http://[::1]:{port}"),
        host if host.contains(':') => format!("http://[{host}]:{port}"),
        host => format!("http://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, named: bool, variables: &[(&str, &str)]) -> Vec<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("n.toml");
        std::fs::write(&path, text).expect("write");
        let lookup = |name: &str| match name {
            "NEXUS_CONFIG" if !named => Some(path.display().to_string()),
            _ => variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        Client::with(named.then_some(path.as_path()), false, &lookup).expect("a good configuration").places
    }

    #[test]
    fn the_node_is_where_serve_would_put_it() {
        assert_eq!(found("", false, &[]), ["http://127.0.0.1:8000"]);
        assert_eq!(found("server.port = 1", false, &[]), ["http://127.0.0.1:1"]);
        assert_eq!(found("server.port = 1", false, &[("NEXUS_PORT", "2")]), ["http://127.0.0.1:2"]);
        assert_eq!(found("", false, &[("NEXUS_HOST", "::"), ("NEXUS_PORT", "x")]), ["http://[::1]:8000"]);
        assert_eq!(found("server.host = 'fe80::1'", false, &[]), ["http://[fe80::1]:8000"]);
    }

    #[test]
    fn a_file_named_on_the_command_line_is_tried_first() {
        assert_eq!(found("server.port = 1", true, &[]), ["http://127.0.0.1:1"]);
        assert_eq!(
            found("server.port = 1", true, &[("NEXUS_PORT", "2")]),
            ["http://127.0.0.1:1", "http://127.0.0.1:2"]
        );
        assert_eq!(found("", true, &[("NEXUS_PORT", "2")]), ["http://127.0.0.1:2"]);
    }

    #[test]
    fn what_is_not_nexus_is_told_from_a_node_that_says_no() {
        let refused = read::<Json>(StatusCode::CONFLICT, br#"{"error":{"message":"taken"}}"#);
        assert!(matches!(refused, Err(Misread::Refused(StatusCode::CONFLICT, message)) if message == "taken"));
        for (status, body) in [(404, "<html>"), (200, "<html>"), (404, "{\"detail\":\"Not Found\"}")] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert!(matches!(read::<Json>(status, body.as_bytes()), Err(Misread::NotNexus(_))), "{body}");
        }
    }
}
