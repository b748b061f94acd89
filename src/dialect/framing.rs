//! Where server-sent events begin and end, however their bytes are cut into chunks. It keeps a copy of one event's data
//! at most, bounded; it changes nothing and holds nothing back.

/// Data of one event beyond this many bytes is not looked at, unless somebody says otherwise.
const MAX_EVENT: usize = 64 * 1024;

/// Finds the events of a stream.
#[derive(Debug)]
pub(super) struct Events {
    /// The largest event that is kept, in bytes.
    most: usize,
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The `data` lines of the event that is not complete yet.
    data: Vec<u8>,
    /// A `data` line was seen since the last blank line.
    has_data: bool,
    /// A line of any kind was seen since the last blank line.
    has_lines: bool,
    /// The event is larger than that: it is counted, but its data is not kept.
    too_large: bool,
    /// The last byte was a carriage return, which a line feed may complete.
    after_return: bool,
}

impl Default for Events {
    fn default() -> Self {
        Events::up_to(MAX_EVENT)
    }
}

impl Events {
    /// Keeps events of up to `most` bytes.
    pub(super) fn up_to(most: usize) -> Self {
        Events {
            most,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            has_lines: false,
            too_large: false,
            after_return: false,
        }
    }

    /// Takes the next bytes; `each` is called with the data of every event that they complete. An event too large to be
    /// kept is told as empty data.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.after_return) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.end_line(&bytes[..end], &mut each);
            let pair = bytes[end..].starts_with(b"\r\n");
            self.after_return = bytes[end] == b'\r' && end + 1 == bytes.len();
            bytes = &bytes[end + 1 + usize::from(pair)..];
        }
        if self.line.len() + bytes.len() > self.most {
            self.too_large = true;
            self.line.truncate(b"data:".len());
            let missing = b"data:".len() - self.line.len();
            self.line.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    /// Whether the stream is between two events.
    pub(super) fn at_boundary(&self) -> bool {
        self.line.is_empty() && !self.has_lines
    }

    fn end_line(&mut self, rest: &[u8], each: &mut impl FnMut(&[u8])) {
        if self.line.is_empty() {
            self.take_line(rest, each);
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(rest);
            self.take_line(&line, each);
            line.clear();
            self.line = line;
        }
    }

    fn take_line(&mut self, line: &[u8], each: &mut impl FnMut(&[u8])) {
        if line.is_empty() {
            return self.end_event(each);
        }
        self.has_lines = true;
        let Some(value) = line.strip_prefix(b"data:") else { return };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        self.has_data = true;
        if self.data.len() + value.len() > self.most {
            self.too_large = true;
        }
        if self.too_large {
            self.data.clear();
        } else {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
        }
    }

    fn end_event(&mut self, each: &mut impl FnMut(&[u8])) {
        if self.has_data {
            each(&self.data);
        }
        self.data.clear();
        self.has_data = false;
        self.has_lines = false;
        self.too_large = false;
    }
}

/// Finds the lines of a stream of JSON.
#[derive(Debug)]
pub(super) struct Lines {
    /// The largest line that is kept, in bytes.
    most: usize,
    /// The line that is not complete yet.
    line: Vec<u8>,
    too_large: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Lines::up_to(MAX_EVENT)
    }
}

impl Lines {
    /// Keeps lines of up to `most` bytes.
    pub(super) fn up_to(most: usize) -> Self {
        Lines { most, line: Vec::new(), too_large: false }
    }

    /// Takes the next bytes; `each` is called with every line that they complete, but for blank ones. A line too large to
    /// be kept is told as empty.
    pub(super) fn push(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8])) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            if self.too_large || !self.line.trim_ascii().is_empty() {
                each(self.line.trim_ascii());
            }
            self.line.clear();
            self.too_large = false;
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// Whether the stream is between two lines.
    pub(super) fn at_boundary(&self) -> bool {
        self.line.is_empty() && !self.too_large
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.too_large |= self.line.len() + bytes.len() > self.most;
        if self.too_large {
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> (Vec<String>, bool) {
        let mut events = Events::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            events.push(chunk, |data| seen.push(String::from_utf8_lossy(data).into_owned()));
        }
        (seen, events.at_boundary())
    }

    #[test]
    fn every_way_to_end_a_line_ends_an_event() {
        for stream in [
            "data: a\n\ndata: b\n\n",
            "data: a\r\n\r\ndata: b\r\n\r\n",
            "data: a\r\rdata: b\r\r",
            "data: a\r\n\ndata: b\r\r\n",
        ] {
            assert_eq!(events(&[stream.as_bytes()]), (vec!["a".to_owned(), "b".to_owned()], true), "{stream:?}");
            let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(events(&single), (vec!["a".to_owned(), "b".to_owned()], true), "{stream:?} byte by byte");
        }
    }

    #[test]
    fn comments_and_other_fields_carry_no_data_and_data_lines_are_joined() {
        let stream = b": ping\n\nevent: x\nid: 1\ndata:a\ndata: b\n\ndatabase: no\n\n";
        assert_eq!(events(&[stream]), (vec!["a\nb".to_owned()], true));
    }

    #[test]
    fn a_stream_inside_an_event_is_at_no_boundary() {
        for (stream, at_boundary) in [("", true), ("d", false), ("data: a\n", false), ("data: a\r\n\r", true)] {
            assert_eq!(events(&[stream.as_bytes()]).1, at_boundary, "{stream:?}");
        }
    }

    #[test]
    fn an_endless_event_is_counted_but_not_kept() {
        let mut events = Events::default();
        let mut lengths = Vec::new();
        events.push(b"data: ", |_| ());
        for _ in 0..100 {
            events.push(&[b'x'; 4096], |_| ());
            assert!(events.line.capacity() + events.data.capacity() <= 4 * MAX_EVENT);
        }
        events.push(b"\n\ndata: small\n\n", |data| lengths.push(data.len()));
        assert_eq!(lengths, [0, 5]);
    }
}
