//! Who may change something from a page: who may by [`Guard`], or who has shown it the admin token before and holds a session.
//! Every form carries a secret that only such a reader was given, so that no other page can send one for them. And what pages
//! have to say once, after what was asked for is done.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue, header};
use rand::RngExt;
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::api::gate::{Guard, NEAR, TOKEN, is_cross_origin};
use crate::api::serve::Source;
use crate::dashboard::Notice;
use crate::dialect::Fault;
use crate::env::{Dice, Env};
use crate::fleet::key_digest as digest;

/// How long a session lasts.
const LASTS: Duration = Duration::from_secs(8 * 3_600);

/// Sessions at once; the oldest gives way.
const MOST_SESSIONS: usize = 32;

/// Things that were not told yet; the oldest gives way.
const MOST_NOTICES: usize = 64;

/// What the name of the cookie begins with. Browsers send the cookies of a host to all of its ports: another node there has
/// another name for its own.
const COOKIE: &str = "nexus_session_";

/// Letters of a node's name that follow.
const LETTERS: usize = 16;

/// Who may, and what is still to be told.
pub(super) struct Rights {
    guard: Arc<Guard>,
    cookie: String,
    /// The secret of forms for those who need no session.
    form: String,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    sessions: VecDeque<Session>,
    notices: VecDeque<(String, Notice)>,
}

struct Session {
    /// Of the secret in the cookie.
    digest: [u8; 32],
    form: String,
    until: Instant,
}

impl Rights {
    /// Of the node that calls itself `node`, unlike any other.
    pub(super) fn new(guard: Arc<Guard>, node: &HeaderValue, env: &Env) -> Self {
        // The start of a name may be what all have in common.
        let letters = node.as_bytes().iter().rev().filter(|byte| byte.is_ascii_alphanumeric()).take(LETTERS);
        let cookie = COOKIE.chars().chain(letters.map(|byte| char::from(*byte))).collect();
        let mut dice = env.seed.fork("sessions of the page");
        let form = secret(&mut dice);
        let state = State { dice, sessions: VecDeque::new(), notices: VecDeque::new() };
        Rights { guard, cookie, form, state: Mutex::new(state) }
    }

    /// Whether it is a token that opens the door here.
    pub(super) fn asks_for_token(&self) -> bool {
        self.guard.asks_for_token()
    }

    /// By what right whoever is let in may manage.
    pub(super) fn right(&self) -> &'static str {
        if self.asks_for_token() { TOKEN } else { NEAR }
    }

    /// The secret of the forms of whoever asks.
    ///
    /// # Errors
    /// They may not, and what to do.
    pub(super) fn of(&self, source: Option<Source>, headers: &HeaderMap) -> Result<String, Fault> {
        if !is_cross_origin(headers)
            && let Some(form) = self.session(headers)
        {
            return Ok(form);
        }
        match self.guard.admit(source, headers) {
            Ok(_) => Ok(self.form.clone()),
            Err(fault) if fault.status == http::StatusCode::UNAUTHORIZED => {
                Err(Fault::unauthorized("Only who holds the admin token may change anything here: sign in with it."))
            }
            Err(fault) => Err(fault),
        }
    }

    /// The same for a form that was sent.
    ///
    /// # Errors
    /// They may not, or the form is not one of this node for this reader.
    pub(super) fn of_form(&self, source: Option<Source>, headers: &HeaderMap, sent: &str) -> Result<(), Fault> {
        let expected = self.of(source, headers)?;
        if bool::from(digest(sent).ct_eq(&digest(&expected))) {
            return Ok(());
        }
        Err(Fault::forbidden(
            "This form is out of date, or not of this page: load the page again and repeat it.".to_owned(),
        ))
    }

    /// Opens a session for who shows the token; what the browser is to keep.
    ///
    /// # Errors
    /// It is another token, or none is asked for.
    pub(super) fn sign_in(&self, headers: &HeaderMap, token: &str) -> Result<HeaderValue, Fault> {
        if is_cross_origin(headers) {
            return Err(Fault::forbidden("Management is not open to other web pages.".to_owned()));
        }
        if !self.guard.is_token(token) {
            return Err(Fault::unauthorized("That is not the admin token of this peer."));
        }
        let mut state = self.lock();
        let (id, form) = (secret(&mut state.dice), secret(&mut state.dice));
        while state.sessions.len() >= MOST_SESSIONS {
            state.sessions.pop_front();
        }
        state.sessions.push_back(Session { digest: digest(&id), form, until: Instant::now() + LASTS });
        drop(state);
        Ok(self.cookie(&id, LASTS))
    }

    /// Ends the session of whoever asks; what the browser is to forget it by.
    pub(super) fn sign_out(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(shown) = self.shown(headers) {
            let mut state = self.lock();
            state.sessions.retain(|session| !bool::from(session.digest.ct_eq(&shown)));
        }
        self.cookie("", Duration::ZERO)
    }

    pub(super) fn has_session(&self, headers: &HeaderMap) -> bool {
        self.session(headers).is_some()
    }

    fn session(&self, headers: &HeaderMap) -> Option<String> {
        let (shown, now) = (self.shown(headers)?, Instant::now());
        let mut state = self.lock();
        state.sessions.retain(|session| session.until > now);
        // Every session is compared, so that the time taken tells nothing.
        let mut found = None;
        for session in &state.sessions {
            if bool::from(session.digest.ct_eq(&shown)) {
                found = Some(session.form.clone());
            }
        }
        found
    }

    /// Keeps something to be told on the next page, and gives what it is asked for by.
    pub(super) fn tell(&self, notice: Notice) -> String {
        let mut state = self.lock();
        let id = secret(&mut state.dice);
        while state.notices.len() >= MOST_NOTICES {
            state.notices.pop_front();
        }
        state.notices.push_back((id.clone(), notice));
        id
    }

    /// What was to be told, once.
    pub(super) fn told(&self, id: &str) -> Option<Notice> {
        let mut state = self.lock();
        let at = state.notices.iter().position(|(known, _)| known == id)?;
        state.notices.remove(at).map(|(_, notice)| notice)
    }

    /// The hash of the session that a browser shows.
    fn shown(&self, headers: &HeaderMap) -> Option<[u8; 32]> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, value)| *name == self.cookie && !value.is_empty()).map(|(_, value)| digest(value))
    }

    /// No script reads it, and no other site's page sends it.
    fn cookie(&self, id: &str, lasts: Duration) -> HeaderValue {
        let text = format!("{}={id}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict", self.cookie, lasts.as_secs());
        HeaderValue::try_from(text).expect("hex and ASCII")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn secret(dice: &mut Dice) -> String {
    HEXLOWER.encode(&dice.random::<[u8; 16]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(token: Option<&str>) -> Rights {
        Rights::new(Arc::new(Guard::new(token)), &HeaderValue::from_static("node-1"), &Env::real())
    }

    fn with_cookie(set: &HeaderValue) -> HeaderMap {
        let pair = set.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("box:8000"));
        headers.insert(header::COOKIE, HeaderValue::try_from(format!("other=1; {pair}")).expect("text"));
        headers
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_opens_with_the_token_and_ends() {
        let rights = rights(Some("s3cret"));
        assert!(rights.sign_in(&HeaderMap::new(), "guess").is_err());
        let headers = with_cookie(&rights.sign_in(&HeaderMap::new(), "s3cret").expect("the token"));
        let form = rights.of(None, &headers).expect("signed in");
        assert!(rights.of_form(None, &headers, &form).is_ok() && rights.of_form(None, &headers, "").is_err());
        assert!(rights.of(None, &HeaderMap::new()).is_err(), "nobody else is");
        let mut foreign = headers.clone();
        foreign.insert(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert!(rights.of(None, &foreign).is_err(), "not from another page");
        tokio::time::advance(LASTS).await;
        assert!(rights.of(None, &headers).is_err(), "it is over");
        let headers = with_cookie(&rights.sign_in(&HeaderMap::new(), "s3cret").expect("the token"));
        rights.sign_out(&headers);
        assert!(rights.of(None, &headers).is_err());
    }

    /// Two peers on one host once signed each other's readers out.
    #[tokio::test(start_paused = true)]
    async fn peers_on_one_host_know_their_own_cookies() {
        let (one, other) = (rights(Some("s3cret")), {
            let node = HeaderValue::from_static("node-2");
            Rights::new(Arc::new(Guard::new(Some("s3cret"))), &node, &Env::real())
        });
        let set = |rights: &Rights| rights.sign_in(&HeaderMap::new(), "s3cret").expect("the token");
        let pair = |set: &HeaderValue| set.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let both = format!("{}; {}", pair(&set(&one)), pair(&set(&other)));
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::try_from(both).expect("text"));
        assert!(one.has_session(&headers) && other.has_session(&headers));
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_and_notices_are_few_and_told_once() {
        let rights = rights(Some("s3cret"));
        let first = with_cookie(&rights.sign_in(&HeaderMap::new(), "s3cret").expect("the token"));
        for _ in 0..MOST_SESSIONS {
            rights.sign_in(&HeaderMap::new(), "s3cret").expect("the token");
        }
        assert!(!rights.has_session(&first), "the oldest gave way");
        let id = rights.tell(Notice { good: true, text: "done".to_owned() });
        assert!(rights.told("guess").is_none());
        assert_eq!(rights.told(&id).map(|notice| notice.text), Some("done".to_owned()));
        assert!(rights.told(&id).is_none());
    }
}
