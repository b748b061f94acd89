//! Instructions in the middle of a conversation, as agents put them there. Dialects that know instructions only in front hear
//! them in the user's turn, marked as what they are.

use super::super::chat::{Message, Part, Role};

/// Every instruction behind the first turn becomes a turn of the user.
pub(super) fn into_turns(messages: &mut [Message]) {
    let begins = messages.iter().position(|message| message.role != Role::System).unwrap_or(messages.len());
    for message in messages[begins..].iter_mut().filter(|message| message.role == Role::System) {
        message.role = Role::User;
        for part in &mut message.parts {
            if let Part::Text(text) = part {
                *text = format!("<system-reminder>\n{text}\n</system-reminder>");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_in_front_stay_there() {
        let mut messages =
            vec![Message::text(Role::System, "a"), Message::text(Role::User, "b"), Message::text(Role::System, "c")];
        into_turns(&mut messages);
        assert_eq!(messages[0], Message::text(Role::System, "a"));
        assert_eq!(messages[2], Message::text(Role::User, "<system-reminder>\nc\n</system-reminder>"));
    }
}
