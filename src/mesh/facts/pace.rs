//! `pace/BACKEND/MODEL`: how fast a backend serves a model. Rounded to two digits, so that it is told again only when it
//! matters.

use super::{Dropped, checked_name, escape, of_model, read, two_digits, write};
use crate::fleet::Pace;

pub(super) const KIND: &str = "pace";

pub(in crate::mesh) fn encode(backend: &str, model: &str, pace: &Pace) -> Option<(String, String)> {
    checked_name(model).ok()?;
    Some((format!("{KIND}/{}/{model}", escape(backend)), write(&rounded(pace))?))
}

pub(super) fn decode(rest: &str, value: &str) -> Result<(String, String, Pace), Dropped> {
    let (backend, model) = of_model(rest)?;
    Ok((backend, model, read::<Pace>(value)?.plausible()))
}

fn rounded(pace: &Pace) -> Pace {
    let narrow = |value: u32| u32::try_from(two_digits(value.into())).unwrap_or(u32::MAX);
    let speed = |value: f32| if value < 10.0 { (value * 10.0).round() / 10.0 } else { narrow(value as u32) as f32 };
    Pace {
        first_ms: pace.first_ms.map(narrow),
        prefill: pace.prefill.map(speed),
        decode: pace.decode.map(speed),
        cold_ms: pace.cold_ms.map(narrow),
        answer: pace.answer.map(narrow),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, decode};
    use super::*;

    #[test]
    fn reads_back_rounded() {
        let pace = Pace { prefill: Some(1_234.5), decode: Some(58.7), answer: Some(256), ..Pace::default() };
        let (key, value) = encode("rack/gpu", "meta/llama", &pace).expect("short");
        let heard = Pace { prefill: Some(1_200.0), decode: Some(58.0), answer: Some(250), ..Pace::default() };
        assert_eq!(decode(&key, &value), Ok(Fact::Pace("rack/gpu".to_owned(), "meta/llama".to_owned(), heard)));
    }

    #[test]
    fn a_later_version_is_understood_and_what_cannot_be_is_none() {
        let of = |value: &str| decode("pace/gpu/m", value);
        let known = |pace| Ok(Fact::Pace("gpu".to_owned(), "m".to_owned(), pace));
        assert_eq!(of(r#"{"v":9,"decode":5.0,"mood":"good"}"#), known(Pace { decode: Some(5.0), ..Pace::default() }));
        assert_eq!(of(r#"{"decode":-5.0,"prefill":1e30}"#), known(Pace::default()));
        assert_eq!(of(r#"{"first_ms":-1}"#), Err(Dropped::Malformed));
        assert_eq!(decode("pace/gpu", "{}"), Err(Dropped::Malformed));
    }
}
