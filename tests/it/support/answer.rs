//! What a scripted backend does with a request, step by step: head, chunks, waiting, silence, breaking off.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Something a step waits for.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Gate(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn opened(&self) {
        let mut seen = self.0.subscribe();
        let _ = seen.wait_for(|open| *open).await;
    }
}

#[derive(Clone)]
enum Step {
    Head,
    Chunk(Vec<u8>),
    Wait(Gate),
    /// Nothing more, until the other side goes away.
    Hang,
    /// The connection is closed at once.
    Cut,
}

/// A scripted reply.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    chunked: bool,
    steps: Vec<Step>,
}

/// How a reply ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    /// By the script.
    Cut,
    /// The other side went away.
    Abandoned,
}

impl Answer {
    /// A JSON body with a length.
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        Answer { status, headers: Vec::new(), chunked: false, steps: vec![Step::Head, Step::Chunk(body.into_bytes())] }
            .header("content-type", "application/json")
            .header("content-length", &length)
    }

    /// The chat completion that `text` makes.
    pub(crate) fn says(text: &str) -> Self {
        let choice =
            serde_json::json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
        Answer::json(200, serde_json::json!({"id": "c1", "object": "chat.completion", "choices": [choice]}).to_string())
    }

    /// A chunked event stream, each item one chunk.
    pub(crate) fn stream<T: AsRef<[u8]>>(chunks: impl IntoIterator<Item = T>) -> Self {
        Answer::chunked("text/event-stream", chunks)
    }

    /// A body whose length is not told, each item one chunk.
    pub(crate) fn chunked<T: AsRef<[u8]>>(content_type: &str, chunks: impl IntoIterator<Item = T>) -> Self {
        let mut steps = vec![Step::Head];
        steps.extend(chunks.into_iter().map(|chunk| Step::Chunk(chunk.as_ref().to_vec())));
        Answer { status: 200, headers: Vec::new(), chunked: true, steps }.header("content-type", content_type)
    }

    /// Accepts the request and says nothing at all.
    pub(crate) fn silence() -> Self {
        Answer { status: 200, headers: Vec::new(), chunked: false, steps: vec![Step::Hang] }
    }

    /// Accepts the request and closes the connection.
    pub(crate) fn hang_up() -> Self {
        Answer { status: 200, headers: Vec::new(), chunked: false, steps: vec![Step::Cut] }
    }

    /// Waits before the head.
    pub(crate) fn after(mut self, gate: &Gate) -> Self {
        self.steps.insert(0, Step::Wait(gate.clone()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn then(mut self, chunk: impl AsRef<[u8]>) -> Self {
        self.steps.push(Step::Chunk(chunk.as_ref().to_vec()));
        self
    }

    pub(crate) fn wait(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    pub(crate) fn then_hang(mut self) -> Self {
        self.steps.push(Step::Hang);
        self
    }

    pub(crate) fn then_cut(mut self) -> Self {
        self.steps.push(Step::Cut);
        self
    }

    /// Does as scripted, and notices when nobody listens any more.
    pub(super) async fn perform(&self, stream: &mut TcpStream) -> Ended {
        for step in &self.steps {
            let written = match step {
                Step::Head => stream.write_all(self.head().as_bytes()).await,
                Step::Chunk(bytes) if self.chunked => {
                    let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
                    stream.write_all(&framed).await
                }
                Step::Chunk(bytes) => stream.write_all(bytes).await,
                Step::Wait(gate) => {
                    tokio::select! {
                        () = gate.opened() => Ok(()),
                        () = closed(stream) => return Ended::Abandoned,
                    }
                }
                Step::Hang => {
                    closed(stream).await;
                    return Ended::Abandoned;
                }
                Step::Cut => return Ended::Cut,
            };
            if written.is_err() {
                return Ended::Abandoned;
            }
            tokio::task::yield_now().await;
        }
        if self.chunked && stream.write_all(b"0\r\n\r\n").await.is_err() {
            return Ended::Abandoned;
        }
        Ended::Whole
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.chunked {
            head.push_str("transfer-encoding: chunked\r\n");
        }
        head + "\r\n"
    }
}

async fn closed(stream: &mut TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte).await, Ok(1..)) {}
}
