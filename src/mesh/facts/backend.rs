//! `backend/NAME`: what a backend is and how it is. Changes with its health and its configuration.

use super::{Dropped, checked_name, escape, read, unescape, write};
use crate::fleet::BackendAbout;

pub(super) const KIND: &str = "backend";

pub(in crate::mesh) fn encode(about: &BackendAbout) -> Option<(String, String)> {
    checked_name(&about.name).ok()?;
    Some((format!("{KIND}/{}", escape(&about.name)), write(about)?))
}

pub(super) fn decode(rest: &str, value: &str) -> Result<BackendAbout, Dropped> {
    let about: BackendAbout = read(value)?;
    checked_name(&about.name)?;
    if about.endpoint.len().max(about.machine.len()) > super::MAX_NAME {
        return Err(Dropped::TooLong);
    }
    if about.name == unescape(rest) { Ok(about) } else { Err(Dropped::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, decode};
    use super::*;
    use crate::fleet::{Kind, Status, Tier, Zone};

    fn about(name: &str) -> BackendAbout {
        BackendAbout {
            name: name.to_owned(),
            kind: Kind::LlamaCpp,
            zone: Zone::Restricted,
            tier: Tier::default(),
            priority: 50,
            status: Status::Healthy,
            suspect: true,
            endpoint: "192.168.1.5:8080".to_owned(),
            near: true,
            machine: "m1".to_owned(),
        }
    }

    #[test]
    fn reads_back_as_written() {
        for name in ["gpu", "rack 1/gpu", "100%"] {
            let (key, value) = encode(&about(name)).expect("short");
            assert_eq!(decode(&key, &value), Ok(Fact::Backend(about(name))));
        }
    }

    #[test]
    fn a_later_version_is_understood_where_it_can_be() {
        let (key, value) = encode(&about("gpu")).expect("short");
        let later = value.replace("\"healthy\"", "\"hibernating\"").replacen('{', r#"{"colour":"red","#, 1);
        let Ok(Fact::Backend(heard)) = decode(&key, &later) else { panic!("not understood") };
        assert_eq!(heard.status, Status::Unrecognised);
        assert_eq!(decode(&key, &value.replace("llamacpp", "tpu")), Err(Dropped::Malformed));
    }

    #[test]
    fn a_fact_must_be_about_what_its_key_says() {
        let (_, value) = encode(&about("gpu")).expect("short");
        assert_eq!(decode("backend/other", &value), Err(Dropped::Malformed));
        assert!(encode(&about("")).is_none());
    }
}
