//! The parts of a message and of what a tool gave, each as its canonical part. Which parts a message may have is asked
//! of OpenAI's document; what no other dialect has is noted, and what nobody knows is refused.

use super::media;
use super::shape::{Content, Words};
use super::wire;
use crate::dialect::chat::Part;
use crate::dialect::inspect::BadRequest;

/// Parts that this dialect has and no other.
const UNCARRIED: [&str; 4] = ["computer_screenshot", "encrypted_content", "reasoning_text", "summary_text"];

const UNKNOWN: &str =
    "is no known part: use input_text, input_image, input_file, input_audio, or of the assistant output_text, refusal";

/// Where a part stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    item: usize,
    field: &'static str,
    part: usize,
}

impl Place {
    pub(super) fn new(item: usize, field: &'static str, part: usize) -> Self {
        Place { item, field, part }
    }

    /// The path of a field of the part.
    pub(super) fn path(self, field: &str) -> String {
        format!("input[{}].{}[{}].{field}", self.item, self.field, self.part)
    }

    /// What is wrong with a field of the part.
    pub(super) fn problem(self, field: &str, problem: &str) -> BadRequest {
        BadRequest::Value { path: self.path(field), problem: problem.to_owned() }
    }
}

/// What stands in `field` of the item at `item`. There is always a part; one of empty text where nothing was said.
pub(super) fn read(
    content: Option<Content<'_>>,
    item: usize,
    field: &'static str,
    may_refuse: bool,
    uncarried: &mut Vec<String>,
) -> Result<Vec<Part>, BadRequest> {
    let problem =
        |problem: &str| BadRequest::Value { path: format!("input[{item}].{field}"), problem: problem.to_owned() };
    let parts = match content {
        Some(Content::Text(text)) => return Ok(vec![Part::Text(text.into_string())]),
        Some(Content::Parts(parts)) => parts,
        Some(Content::Object) => return Err(problem("must be a string or an array of parts")),
        None => return Err(problem("is required: a string, or an array of parts")),
    };
    let mut all = Vec::with_capacity(parts.len());
    for (at, part) in parts.into_iter().enumerate() {
        let place = Place::new(item, field, at);
        if !may_refuse && part.kind.as_ref().is_some_and(|kind| kind.as_str() == "refusal") {
            return Err(place.problem("type", "may be refusal only in what the assistant said"));
        }
        all.extend(carry(part, place, uncarried)?);
    }
    tidy(&mut all);
    Ok(all)
}

/// Takes out empty texts, unless nothing else is there.
pub(super) fn tidy(parts: &mut Vec<Part>) {
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    if parts.is_empty() {
        parts.push(Part::Text(String::new()));
    }
}

/// The part, unless it is one that no other dialect has.
fn carry(part: wire::Part<'_>, place: Place, uncarried: &mut Vec<String>) -> Result<Option<Part>, BadRequest> {
    let needed = |text: Option<Words<'_>>, field: &str| match text {
        Some(text) => Ok(text.into_string()),
        None => Err(place.problem(field, "is required: a string")),
    };
    let kind = match &part.kind {
        Some(kind) => kind.as_str(),
        None => return Err(place.problem("type", "is required: a string")),
    };
    if matches!(kind, "input_image" | "input_file") && part.file_id.is_some() {
        uncarried.push(place.path("file_id"));
        return Ok(None);
    }
    Ok(Some(match kind {
        "input_text" | "output_text" | "text" => Part::Text(needed(part.text, "text")?),
        "refusal" => Part::Refusal(needed(part.refusal, "refusal")?),
        "input_image" => Part::Media(media::image(part, place)?),
        "input_file" => Part::Media(media::file(part, place)?),
        "input_audio" => Part::Media(media::audio(part, place)?),
        known if UNCARRIED.contains(&known) => {
            uncarried.push(format!("{}: {known}", place.path("type")));
            return Ok(None);
        }
        _ => return Err(place.problem("type", UNKNOWN)),
    }))
}
