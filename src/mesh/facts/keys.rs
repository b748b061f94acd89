//! `keys`: a hash of the clients' keys that this peer knows. Whoever knows others asks it for them; what they are is never
//! gossiped.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Dropped, read, write};

pub(in crate::mesh) const KEY: &str = "keys";

#[derive(Serialize, Deserialize)]
struct Keys {
    hash: String,
}

pub(in crate::mesh) fn encode(hash: &str) -> Option<String> {
    write(&Keys { hash: hash.to_owned() })
}

pub(super) fn decode(value: &str) -> Result<Arc<str>, Dropped> {
    let Keys { hash } = read(value)?;
    match hash.as_str() {
        hash if hash.len() > 64 => Err(Dropped::TooLong),
        hash if hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_graphic()) => Err(Dropped::Malformed),
        hash => Ok(hash.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, decode};
    use super::*;

    #[test]
    fn reads_back_as_written_and_nothing_else_is_believed() {
        let value = encode("0123456789abcdef").expect("short");
        assert_eq!(decode(KEY, &value), Ok(Fact::Keys("0123456789abcdef".into())));
        assert_eq!(decode(KEY, r#"{"v":2,"hash":"ab","since":1}"#), Ok(Fact::Keys("ab".into())));
        for bad in [r#"{"v":1}"#, r#"{"hash":""}"#, r#"{"hash":"a b"}"#, r#"{"hash":7}"#] {
            assert_eq!(decode(KEY, bad), Err(Dropped::Malformed), "{bad}");
        }
        assert_eq!(decode(KEY, &encode(&"a".repeat(65)).expect("short")), Err(Dropped::TooLong));
    }
}
