//! `model/BACKEND/MODEL`: a model that a backend offers. One key per model: a large backend is not one large value, and
//! one model coming or going is one small change.

use super::{Dropped, MAX_NAME, checked_name, escape, read, unescape, write};
use crate::fleet::Model;

pub(super) const KIND: &str = "model";

pub(in crate::mesh) fn encode(backend: &str, model: &Model) -> Option<(String, String)> {
    checked_name(&model.id).ok()?;
    Some((format!("{KIND}/{}/{}", escape(backend), model.id), write(model)?))
}

pub(super) fn decode(rest: &str, value: &str) -> Result<(String, Model), Dropped> {
    let (backend, id) = rest.split_once('/').ok_or(Dropped::Malformed)?;
    if backend.len() > 3 * MAX_NAME {
        return Err(Dropped::TooLong);
    }
    let model: Model = read(value)?;
    checked_name(&model.id)?;
    if model.id == id { Ok((unescape(backend), model)) } else { Err(Dropped::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, decode};
    use super::*;
    use crate::fleet::{Residency, Support};

    #[test]
    fn reads_back_as_written_slashes_and_all() {
        let model = Model {
            context_length: Some(32_768),
            tools: Support::Yes,
            vision: Support::No,
            residency: Residency::Loaded,
            ..Model::named("meta/llama-3:8b")
        };
        let (key, value) = encode("rack/gpu", &model).expect("short");
        assert_eq!(decode(&key, &value), Ok(Fact::Model("rack/gpu".to_owned(), model)));
    }

    #[test]
    fn a_fact_must_be_about_what_its_key_says() {
        assert_eq!(decode("model/gpu/a", r#"{"id":"b"}"#), Err(Dropped::Malformed));
        assert_eq!(decode("model/gpu", r#"{"id":"gpu"}"#), Err(Dropped::Malformed));
        assert_eq!(decode("model/gpu/", r#"{"id":""}"#), Err(Dropped::Malformed));
        assert!(encode("gpu", &Model::named("m".repeat(257))).is_none());
    }

    #[test]
    fn a_later_version_is_understood() {
        let value = r#"{"v":3,"id":"m","tools":"partly","quant":"q4","residency":"paged"}"#;
        assert_eq!(decode("model/gpu/m", value), Ok(Fact::Model("gpu".to_owned(), Model::named("m"))));
    }
}
