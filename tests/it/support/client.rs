//! A client that sends the bytes it is given and sees every byte that comes back. One connection for each call; dropping
//! a reply closes it, as a client that goes away does.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use nexus::env::Tasks;
use serde_json::Value;
use tokio::net::TcpStream;

use super::soon;

/// Calls one node.
#[derive(Clone, Copy)]
pub(crate) struct Client(pub(crate) SocketAddr);

/// A call that is being made up.
pub(crate) struct Call {
    address: SocketAddr,
    request: Request<Full<Bytes>>,
}

/// A reply whose head is here.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    _connection: Connection,
}

/// A reply that came to its end.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The connection broke before the end that HTTP knows.
    pub(crate) broken: bool,
}

/// A chat request.
pub(crate) fn chat(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#)
}

/// A chat request that wants a stream.
pub(crate) fn stream(model: &str) -> String {
    format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"hello"}}]}}"#)
}

impl Client {
    pub(crate) fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Call {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        let host = HeaderValue::from_str(&self.0.to_string()).expect("an address");
        request.headers_mut().insert(header::HOST, host);
        Call { address: self.0, request }
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path, Bytes::new())
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path, Bytes::new())
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<Bytes>) -> Call {
        self.call(Method::POST, path, body).header("content-type", "application/json")
    }

    pub(crate) fn completions(&self, body: impl Into<Bytes>) -> Call {
        self.post("/v1/chat/completions", body)
    }

    /// A plain chat with `model`.
    pub(crate) async fn chat(&self, model: &str) -> Whole {
        self.completions(chat(model)).whole().await
    }

    /// A streamed chat with `model`.
    pub(crate) async fn stream(&self, model: &str) -> Reply {
        self.completions(stream(model)).send().await
    }
}

impl Call {
    /// Sets a header; an empty value takes it away.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let name = HeaderName::from_static(name);
        if value.is_empty() {
            self.request.headers_mut().remove(name);
        } else {
            self.request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value"));
        }
        self
    }

    /// Sends it and waits for the head of the reply.
    pub(crate) async fn send(self) -> Reply {
        soon("the head of a reply", async {
            let stream = TcpStream::connect(self.address).await.expect("the node listens");
            stream.set_nodelay(true).expect("a socket");
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
            let tasks = Tasks::new();
            tasks.spawn("client", async move {
                let _ = connection.await;
            });
            let connection = Connection(tasks);
            let reply = sender.send_request(self.request).await.expect("a reply");
            let (parts, body) = reply.into_parts();
            Reply { status: parts.status.as_u16(), headers: parts.headers, body, _connection: connection }
        })
        .await
    }

    /// Sends it and waits for the end of the reply.
    pub(crate) async fn whole(self) -> Whole {
        self.send().await.whole().await
    }
}

/// The task of a connection, ended with whoever uses it.
struct Connection(Tasks);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Reply {
    /// The next bytes, as they came. `None` at the end, however it came about.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        soon("the next bytes", async {
            loop {
                let frame = self.body.frame().await?.ok()?;
                if let Ok(data) = frame.into_data() {
                    return Some(data);
                }
            }
        })
        .await
    }

    /// Reads until `text` has come, and gives all that came.
    pub(crate) async fn read_to(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            match self.next().await {
                Some(bytes) => seen.extend_from_slice(&bytes),
                None => panic!("ended before {text:?}: {:?}", String::from_utf8_lossy(&seen)),
            }
        }
        String::from_utf8(seen).expect("text")
    }

    /// Reads to the end.
    pub(crate) async fn whole(mut self) -> Whole {
        let (mut bytes, mut broken) = (Vec::new(), false);
        soon("the end of a reply", async {
            while let Some(frame) = self.body.frame().await {
                match frame {
                    Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                    Err(_) => {
                        broken = true;
                        break;
                    }
                }
            }
        })
        .await;
        Whole { status: self.status, headers: self.headers, body: bytes.into(), broken }
    }
}

impl Whole {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Checks that this is an error as OpenAI's clients want it, and gives what is in `error`.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, code: &str, kind: &str) -> Value {
        let error = self.json()["error"].clone();
        assert_eq!(self.status, status, "{error}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{error}");
        assert_eq!((error["code"].as_str(), error["type"].as_str()), (Some(code), Some(kind)), "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
        assert!(error.get("param").is_some(), "`param` is there even where it is null: {error}");
        error
    }
}
