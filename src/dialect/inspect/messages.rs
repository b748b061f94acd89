//! The messages of a chat: how much text they hold, whether there are images among it, and what they are known by. What
//! models do not see of them is passed over.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::canonical::Value;
use super::content::{Content, Reading};
use super::glance::{Glance, Read, Reader, Shape, read, see};
use crate::dialect::prefix::{Block, Role, Speaker, Tag, Transcript, hash, mix};

/// `messages` of a chat.
pub(super) struct Messages {
    pub(super) shape: Shape,
    /// The first entry that is not an object, and what it is.
    pub(super) stray: Option<(usize, Shape)>,
    pub(super) content: Content,
    /// What they are known by, if that is asked for.
    pub(super) transcript: Option<Transcript>,
    /// Who speaks where nobody is named.
    role: Role,
}

impl Messages {
    pub(super) fn new(for_prefix: bool) -> Self {
        let transcript = for_prefix.then(Transcript::default);
        Messages { shape: Shape::Null, stray: None, content: Content::default(), transcript, role: Role::User }
    }

    /// Instructions that stand apart from the conversation: what they hold is one message, unlike any in it.
    pub(super) fn instructions(for_prefix: bool) -> Self {
        Messages { role: Role::System, ..Self::new(for_prefix) }
    }

    /// What is said without a message around it is a message.
    fn bare(&mut self, fill: impl FnOnce(&mut Reading<'_>)) {
        if let Some(transcript) = &mut self.transcript {
            transcript.begin();
        }
        let mut reading = Reading::new(self.transcript.as_mut());
        fill(&mut reading);
        self.content.add(reading.content);
        if let Some(transcript) = &mut self.transcript {
            transcript.end(Speaker::of(self.role), None);
        }
    }
}

impl Reader for Messages {
    fn shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    fn text(&mut self, text: &str) {
        self.shape = Shape::String;
        self.bare(|reading| reading.text(text));
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, fields: A) -> Result<(), A::Error> {
        self.shape = Shape::Object;
        let mut message = Message::new(self.transcript.as_mut());
        message.role = Some(self.role);
        message.object(fields)?;
        self.content.add(message.content);
        Ok(())
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, mut items: A) -> Result<(), A::Error> {
        self.shape = Shape::Array;
        if self.role == Role::System {
            let mut result = Ok(());
            self.bare(|reading| result = reading.array(items));
            return result;
        }
        let mut index = 0;
        loop {
            let mut message = Message::new(self.transcript.as_mut());
            if items.next_element_seed(Read(&mut message))?.is_none() {
                return Ok(());
            }
            if message.shape != Shape::Object && self.stray.is_none() {
                self.stray = Some((index, message.shape));
            }
            self.content.add(message.content);
            index += 1;
        }
    }
}

struct Message<'t> {
    /// Who speaks where the message does not say.
    role: Option<Role>,
    shape: Shape,
    content: Content,
    transcript: Option<&'t mut Transcript>,
}

impl<'t> Message<'t> {
    fn new(transcript: Option<&'t mut Transcript>) -> Self {
        Message { role: None, shape: Shape::Null, content: Content::default(), transcript }
    }
}

impl Reader for Message<'_> {
    fn shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, mut fields: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            #[serde(alias = "parts", alias = "output")]
            Content,
            Role,
            Name,
            #[serde(alias = "call_id")]
            ToolCallId,
            ToolCalls,
            Arguments,
            Images,
            #[serde(other)]
            Other,
        }
        self.shape = Shape::Object;
        self.begin();
        let (mut who, mut calls) = (Who::default(), None);
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Content => {
                    self.begin();
                    let mut reading = Reading::new(self.transcript.as_deref_mut());
                    read(&mut fields, &mut reading)?;
                    self.content = reading.content;
                }
                Key::Role if self.transcript.is_some() => who.role = see(&mut fields)?,
                Key::Name if self.transcript.is_some() => who.name = see(&mut fields)?,
                Key::ToolCallId if self.transcript.is_some() => who.call = see(&mut fields)?,
                Key::ToolCalls if self.transcript.is_some() => {
                    let mut value = Calls::default();
                    read(&mut fields, &mut value)?;
                    calls = value.0;
                }
                // Responses' calls stand beside the messages, their arguments as text.
                Key::Arguments => {
                    let mut value = Value::default();
                    read(&mut fields, &mut value)?;
                    self.content.bytes = self.content.bytes.saturating_add(value.bytes);
                    calls = Some(value.block(Tag::Calls));
                }
                // Ollama's pictures stand beside the text.
                Key::Images => {
                    let mut value = Value::default();
                    read(&mut fields, &mut value)?;
                    self.content.images = value.bytes > 0;
                    if let Some(transcript) = self.transcript.as_mut().filter(|_| value.bytes > 0) {
                        transcript.media(value.hash);
                    }
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        if let Some(transcript) = &mut self.transcript {
            if let (Some(role), Role::Another) = (self.role, who.role.role) {
                who.role.role = role;
            }
            transcript.end(who.speaker(), calls);
        }
        Ok(())
    }
}

impl Message<'_> {
    fn begin(&mut self) {
        if let Some(transcript) = &mut self.transcript {
            transcript.begin();
        }
    }
}

impl Speaker {
    /// Somebody of whom nothing else is told.
    fn of(role: Role) -> Self {
        Speaker { role, ..Who::default().speaker() }
    }
}

/// What tells messages apart besides their content.
#[derive(Default)]
struct Who {
    role: Word,
    name: Word,
    call: Word,
}

impl Who {
    fn speaker(&self) -> Speaker {
        let hash = mix(Tag::Speaker, [self.role.hash, self.name.hash, self.call.hash]);
        Speaker {
            role: self.role.role,
            head: Block { hash, bytes: self.role.bytes + self.name.bytes + self.call.bytes },
        }
    }
}

/// A string; what is none is like nothing.
#[derive(Default)]
struct Word {
    hash: u64,
    bytes: u64,
    role: Role,
}

impl Glance for Word {
    fn of(_: Shape) -> Self {
        Word::default()
    }

    fn text(text: &str) -> Self {
        let role = match text {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            _ => Role::Another,
        };
        Word { hash: hash(text.as_bytes()), bytes: text.len() as u64, role }
    }
}

/// `tool_calls`; none where it is anything but an array with something in it.
#[derive(Default)]
struct Calls(Option<Block>);

impl Reader for Calls {
    fn shape(&mut self, _: Shape) {}

    fn array<'de, A: SeqAccess<'de>>(&mut self, items: A) -> Result<(), A::Error> {
        let mut value = Value::default();
        value.array(items)?;
        self.0 = (value.bytes > 0).then(|| value.block(Tag::Calls));
        Ok(())
    }
}
