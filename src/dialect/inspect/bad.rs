//! Why a body is no request. How that is told to a client is for [`crate::dialect::fault`] to say.

use super::{MAX_INPUTS, Shape};

/// Why a body is no request. Says what to change and where, and never repeats what the body says.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadRequest {
    /// Another content type than JSON.
    #[error("content-type must be application/json")]
    ContentType,
    /// Another content type than a form, where a form is wanted.
    #[error("content-type must be multipart/form-data with a boundary")]
    NoForm,
    /// Nothing at all.
    #[error("the body is empty: send a JSON object")]
    Empty,
    /// A byte order mark in front.
    #[error("the body starts with a byte order mark: send the JSON without it")]
    ByteOrderMark,
    /// Bytes that are no text.
    #[error("the body is not valid UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset of the first byte that is wrong.
        at: usize,
    },
    /// Text that is no JSON.
    #[error("the body is not valid JSON: {what}")]
    Syntax {
        /// What is wrong, with line and column.
        what: String,
    },
    /// JSON of another shape.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// A field that must be there.
    #[error("`{field}` is required: {wanted}")]
    Missing {
        /// The field.
        field: &'static str,
        /// What it holds.
        wanted: &'static str,
    },
    /// A field twice.
    #[error("`{field}` stands in the body more than once: send it once")]
    Repeated {
        /// The field.
        field: &'static str,
    },
    /// A value of the wrong type.
    #[error("`{path}` must be {wanted}, not {found}")]
    WrongType {
        /// Where it stands, as in `messages[2]`.
        path: String,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: Shape,
    },
    /// A value of the right type that cannot be used.
    #[error("`{field}` {problem}")]
    Unusable {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A value, somewhere in the body, that is not what its dialect has there.
    #[error("`{path}`: {problem}")]
    Value {
        /// Where it stands, as in `messages[2].content`.
        path: String,
        /// What is wrong with it, and what to send instead.
        problem: String,
    },
    /// More inputs than [`MAX_INPUTS`].
    #[error("`input` holds {count} inputs: send at most {MAX_INPUTS} in one request")]
    TooManyInputs {
        /// How many there are.
        count: u64,
    },
}
