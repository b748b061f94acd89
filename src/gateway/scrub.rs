//! What a vendor says without our key in it: some repeat it in their errors, whole or in the middle of a stream.

use memchr::memmem::Finder;

/// What stands in the key's place.
const INSTEAD: &[u8] = b"[key]";

/// Takes a key out of bytes that come in pieces. Holds back no more than what may be the beginning of it.
pub(super) struct Scrub {
    key: Finder<'static>,
    held: Vec<u8>,
}

impl Scrub {
    /// `None` where there is nothing to take out.
    pub(super) fn of(key: Option<&str>) -> Option<Self> {
        let key = key.filter(|key| !key.is_empty())?;
        Some(Scrub { key: Finder::new(key.as_bytes()).into_owned(), held: Vec::new() })
    }

    /// Takes the next bytes, and writes what can be told of them.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(at) = self.key.find(&self.held[from..]) {
            out.extend_from_slice(&self.held[from..from + at]);
            out.extend_from_slice(INSTEAD);
            from += at + self.key.needle().len();
        }
        let key = self.key.needle();
        let rest = &self.held[from..];
        let longest = rest.len().min(key.len() - 1);
        let begun = (0..=longest).rev().find(|length| rest.ends_with(&key[..*length])).unwrap_or(0);
        out.extend_from_slice(&rest[..rest.len() - begun]);
        self.held.drain(..self.held.len() - begun);
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_out_however_it_is_cut_and_all_else_passes() {
        let text = "a sk-1 sk-12 sk-sk-123 end sk-12";
        let expected = "a sk-1 sk-12 sk-[key] end sk-12";
        for size in 1..=text.len() {
            let (mut scrub, mut out) = (Scrub::of(Some("sk-123")).expect("a key"), Vec::new());
            text.as_bytes().chunks(size).for_each(|chunk| scrub.push(chunk, &mut out));
            scrub.end(&mut out);
            assert_eq!(String::from_utf8(out).expect("text"), expected, "{size}");
        }
        assert!(Scrub::of(None).is_none() && Scrub::of(Some("")).is_none());
    }

    #[test]
    fn what_cannot_be_a_key_is_told_at_once() {
        let (mut scrub, mut out) = (Scrub::of(Some("sk-123")).expect("a key"), Vec::new());
        scrub.push(b"data: {}\n\n", &mut out);
        assert_eq!(out, b"data: {}\n\n");
    }
}
