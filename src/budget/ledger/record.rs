//! What a ledger remembers, one line of text for each thing that happened: a checksum, a space, JSON. A line that a crash
//! cut short at the very end never happened; any other line that does not hold means that the file cannot be trusted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fleet::{Account, Founding, Gift, Holder, Month, Row, Terms};

/// Names one set of money that is set aside.
pub(crate) type HoldId = u64;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// The ledger was begun: its form, who holds it, and at which peer.
    Begun {
        /// The version of this form.
        version: u32,
        /// Whose rights these are.
        holder: Holder,
        /// The peer whose ledger it is.
        peer: String,
    },
    /// All that was known when the file was last written anew.
    Carried(Box<super::Carried>),
    /// The budget of a mesh was founded, here or elsewhere.
    Founded {
        /// Which mesh.
        mesh: Arc<str>,
        /// How it began.
        founding: Founding,
    },
    /// A holder of a mesh was heard of for the first time.
    Met {
        /// Which mesh.
        mesh: Arc<str>,
        /// Whom.
        holder: Holder,
    },
    /// What a holder of a mesh holds to was heard.
    Agreed {
        /// Which mesh.
        mesh: Arc<str>,
        /// Who.
        holder: Holder,
        /// What it is configured to; `None`: nothing.
        terms: Option<Terms>,
    },
    /// An account was heard of.
    Opened(Account),
    /// Another month has begun.
    Turned(Month),
    /// Amounts were set aside, before the call that they are for.
    Held {
        /// Names them.
        id: HoldId,
        /// From which accounts, and how much.
        charges: Vec<(Arc<str>, u64)>,
    },
    /// The call is over: what it really took, of the same accounts in the same order.
    Settled {
        /// What was set aside.
        id: HoldId,
        /// What was spent of it.
        spent: Vec<u64>,
    },
    /// Rights were given away: how many that holder was given in all.
    Gave {
        /// Of which account.
        account: Arc<str>,
        /// To whom.
        to: Holder,
        /// In all, and now.
        gift: Gift,
    },
    /// Rights that another has given were counted here: how many in all.
    Took {
        /// Of which account.
        account: Arc<str>,
        /// From whom.
        from: Holder,
        /// In all.
        parts: u64,
    },
    /// This holder will let nobody but `heir` inherit from `lost`, and takes no more from `lost`.
    Promised {
        /// Who is off for good.
        lost: Holder,
        /// Who may inherit.
        heir: Holder,
    },
    /// Such a promise to itself is taken back: another may inherit.
    Yielded {
        /// Who is off for good.
        lost: Holder,
    },
    /// This holder has inherited from `lost`.
    Inherited {
        /// Who is off for good.
        lost: Holder,
        /// What passed, by account.
        parts: Vec<(Arc<str>, u64)>,
        /// From which month on it counts.
        from: Month,
        /// The last rows of `lost`, as they were counted, and others that they rest on.
        remains: Vec<Row>,
    },
}

const CHECKSUM: usize = 16;

impl Record {
    /// Appends the line of this record.
    pub(crate) fn write(&self, lines: &mut Vec<u8>) {
        let start = lines.len();
        lines.resize(start + CHECKSUM, b' ');
        lines.push(b' ');
        serde_json::to_writer(&mut *lines, self).expect("records are plain data");
        let sum = twox_hash::XxHash3_64::oneshot(&lines[start + CHECKSUM + 1..]);
        let digits = b"0123456789abcdef";
        for (place, digit) in lines[start..start + CHECKSUM].iter_mut().enumerate() {
            *digit = digits[(sum >> (60 - 4 * place) & 15) as usize];
        }
        lines.push(b'\n');
    }

    fn read(line: &[u8]) -> Option<Record> {
        let (sum, rest) = line.split_at_checked(CHECKSUM)?;
        let json = rest.strip_prefix(b" ")?;
        let told = u64::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
        if told != twox_hash::XxHash3_64::oneshot(json) {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

/// Reads every line of a file. What was torn off at its end is left out; `usize` is where the sound part ends.
///
/// # Errors
/// The number of the first line that cannot be trusted, from 1.
pub(crate) fn read_all(file: &[u8]) -> Result<(Vec<Record>, usize), usize> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let Some(length) = memchr::memchr(b'\n', &file[at..]) else { break };
        match Record::read(&file[at..at + length]) {
            Some(record) => records.push(record),
            None => return Err(records.len() + 1),
        }
        at += length + 1;
    }
    Ok((records, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Record> {
        let holder = Holder::named("h1");
        vec![
            Record::Begun { version: 1, holder: holder.clone(), peer: "p".to_owned() },
            Record::Opened(Account { name: "budget@f".into(), root: holder.clone() }),
            Record::Held { id: 7, charges: vec![("budget@f".into(), u64::MAX)] },
            Record::Settled { id: 7, spent: vec![0] },
            Record::Gave {
                account: "a".into(),
                to: holder,
                gift: Gift { parts: 5, month: "2026-11".parse().expect("a month") },
            },
            Record::Yielded { lost: Holder::named("h2") },
        ]
    }

    fn written(records: &[Record]) -> Vec<u8> {
        let mut lines = Vec::new();
        records.iter().for_each(|record| record.write(&mut lines));
        lines
    }

    #[test]
    fn what_was_written_is_read_and_a_torn_end_is_left_out() {
        let records = some();
        let file = written(&records);
        assert_eq!(read_all(&file), Ok((records.clone(), file.len())));
        let whole = written(&records[..5]).len();
        for end in whole..file.len() {
            assert_eq!(read_all(&file[..end]), Ok((records[..5].to_vec(), whole)), "{end}");
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let file = written(&some());
        let line_of = |at: usize| file[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        for at in 0..file.len() - 1 {
            let mut bad = file.clone();
            bad[at] ^= 1;
            // A hex digit may be written in two cases; nothing else may change.
            let read = read_all(&bad);
            assert!(read.is_err_and(|line| line <= line_of(at) + 1), "byte {at}");
        }
    }
}
