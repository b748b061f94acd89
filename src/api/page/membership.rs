//! Forms that let a peer into this mesh, or lead this peer into another one.

use http::Method;
use serde_json::json;

use super::actions::{Call, Form, Question};
use crate::mesh::{Membership, MeshKey, Token};

/// Where a token is pasted. It is not called a token: that is what managers prove themselves by.
const FIELD: &str = "invitation";

/// The call that `form` stands for.
///
/// # Errors
/// What is wrong with the form.
pub(super) fn call(form: &Form) -> Result<Call, String> {
    let invite = |done: &str| Call::new(Method::POST, "/nexus/v1/mesh/invite", done);
    match form.text("do") {
        "mesh-invite" => Ok(invite("This lets one machine in, or several.")),
        "mesh-close" => {
            let done = "The mesh has a key now, which stands in the configuration file of this peer.";
            Ok(invite(done).with(json!({ "make_key": true })))
        }
        _ => {
            let token = form.needed(FIELD)?;
            let done = "This peer has joined; the others are seen as soon as they answer.";
            Ok(Call::new(Method::POST, "/nexus/v1/mesh/join", done).with(json!({ "token": token, "save": true })))
        }
    }
}

/// What is asked before `form` is followed by a peer that is in the mesh of `now` with so many others.
pub(super) fn question(form: &Form, now: &Membership, others: usize) -> Option<Question> {
    let (one, them) = if others == 1 { ("peer that is", "it joins") } else { ("peers that are", "they join") };
    let left = |then: &str| (others > 0).then(|| format!("The {others} other {one} here now {then}"));
    match form.text("do") {
        "mesh-close" if !now.key.is_keyed() => {
            let told =
                left(&format!("and this one no longer see each other until {them} with the token that you get."));
            let first = "A key is made and written into the configuration file of this peer.".to_owned();
            let effects = std::iter::once(first).chain(told).collect();
            Some(Question { question: "Let in only whom you invite?".to_owned(), effects, button: "Make a key" })
        }
        "mesh-join" => {
            let token = Token::decode(form.text(FIELD))?.ok()?;
            if token.name == now.name && MeshKey::parse(&token.key).as_ref() == Ok(&now.key) {
                return None;
            }
            let joins = format!("It joins the mesh {}, and says so in its configuration file.", token.name);
            let effects = std::iter::once(joins).chain(left("no longer see it, nor use its backends.")).collect();
            let question = format!("Take this peer out of the mesh {}?", now.name);
            Some(Question { question, effects, button: "Join" })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::read(text.as_bytes())
    }

    fn membership(name: &str, key: &str) -> Membership {
        Membership::read(name, key, &[]).expect("a membership")
    }

    #[test]
    fn forms_become_calls_and_an_empty_one_says_so() {
        let body = |text: &str| call(&form(text)).expect("a call").body;
        assert_eq!(body("do=mesh-invite"), None);
        assert_eq!(body("do=mesh-close"), Some(json!({ "make_key": true })));
        assert_eq!(body("do=mesh-join&invitation=+nexus1-x+"), Some(json!({ "token": "nexus1-x", "save": true })));
        assert!(call(&form("do=mesh-join&invitation=")).is_err());
    }

    #[test]
    fn whoever_would_leave_a_mesh_is_asked() {
        let key = "a".repeat(52);
        let token = Token { name: "home".to_owned(), key: key.clone(), addresses: Vec::new() }.encode();
        let join = form(&format!("do=mesh-join&invitation={token}"));
        let asked = question(&join, &membership("default", ""), 2).expect("a question");
        assert!(asked.question.contains("default") && asked.effects.len() == 2, "{:?}", asked.effects);
        assert!(asked.effects[0].contains("home") && !asked.effects.concat().contains(&key));
        assert!(question(&join, &membership("home", &key), 2).is_none(), "it is there already");
        assert!(question(&form("do=mesh-join&invitation=desk"), &membership("home", &key), 2).is_none());
        let close = form("do=mesh-close");
        assert_eq!(question(&close, &membership("default", ""), 0).map(|asked| asked.effects.len()), Some(1));
        assert!(question(&close, &membership("home", &key), 1).is_none(), "it has a key");
    }
}
