//! One translation, as the gateway makes it: of a body that it has read, or of the bytes that a backend sent. Nothing is
//! sent anywhere.

use std::hint::black_box;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use nexus::dialect::{Flow, Label, Ways, translate};
use nexus::exchange::{Dialect, Endpoint};

use crate::cells::{Cell, Size};

/// A translation that can be made again and again.
pub(crate) struct Work {
    pub(crate) cell: Cell,
    body: Bytes,
    /// A stream that has begun.
    flow: Option<Flow>,
    out: Vec<u8>,
}

impl Work {
    pub(crate) fn new(cell: Cell) -> Result<Self> {
        let work = |body, flow| Work { cell, body, flow, out: Vec::new() };
        let name = match cell.size {
            Size::Small => "text.request.json",
            Size::ClaudeCode => "claude_code.request.json",
            Size::Chunk => return streamed(cell).map(|(flow, chunk)| work(chunk, Some(flow))),
        };
        Ok(work(fixture(cell.from.dialect(), name)?.into(), None))
    }

    /// How long what is translated is.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Translates so many times.
    pub(crate) fn repeat(&mut self, times: u64) -> Result<()> {
        for _ in 0..times {
            let body = black_box(&self.body);
            match &mut self.flow {
                Some(flow) => {
                    self.out.clear();
                    flow.push(body, &mut self.out)?;
                    black_box(&self.out);
                }
                None => drop(black_box(asked(self.cell.from, self.cell.to, body)?)),
            }
        }
        Ok(())
    }
}

fn asked(from: Endpoint, to: Endpoint, body: &Bytes) -> Result<nexus::dialect::Translated> {
    let (id, model) = ("01jzzzzzzzzzzzzzzzzzzzzzzz".to_owned(), "qwen3:8b".to_owned());
    let label = Label { id, model, created: 1_700_000_000, include_usage: true };
    translate(from, to, body, label, &Ways::default()).map_err(|refusal| anyhow!("{refusal:?}"))
}

/// A stream that has begun, and a chunk of text of it.
fn streamed(cell: Cell) -> Result<(Flow, Bytes)> {
    let (backend, client) = (cell.from, cell.to);
    let asking = fixture(client.dialect(), "stream.request.json")?;
    let mut flow = asked(client, backend, &asking.into())?.translation.flow();
    let stream = fixture(backend.dialect(), "text.stream.txt")?;
    let ends = if backend.dialect() == Dialect::Ollama { ["\n", "\n"] } else { ["\n\n", "\r\n\r\n"] };
    let text = stream.find("Hello").context("the stream has its text")?;
    let end = |from: usize| ends.iter().filter_map(|end| Some(from + stream[from..].find(end)? + end.len())).min();
    let begins = ends.iter().filter_map(|end| Some(stream[..text].rfind(end)? + end.len())).max().unwrap_or(0);
    let chunk = &stream[begins..end(text).context("the event ends")?];
    flow.push(&stream.as_bytes()[..begins], &mut Vec::new())?;
    Ok((flow, Bytes::copy_from_slice(chunk.as_bytes())))
}

fn fixture(dialect: Dialect, name: &str) -> Result<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dialects");
    let path = format!("{folder}/{}/{name}", dialect.as_str());
    std::fs::read_to_string(&path).with_context(|| path.clone())
}
