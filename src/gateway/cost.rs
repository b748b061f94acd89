//! What an answer of a cloud backend costs, told in a header where the answer comes whole. A price that nobody knows makes
//! a cost that nobody knows: never 0.

use bytes::Bytes;
use http::HeaderName;
use http_body_util::{BodyExt, Limited};
use tokio::time::Instant;

use super::outcome::{Answer, Miss};
use super::rulebook::Edition;
use super::{Ask, Gateway};
use crate::budget::price::Price;
use crate::dialect::{Observer, ReplyKind, Usage};
use crate::exchange::full;
use crate::fleet::{BackendSpec, Locality, Model};
use crate::registry::Entry;

/// USD with four decimals.
pub(super) const COST: HeaderName = HeaderName::from_static("x-nexus-cost-estimated");

/// The largest answer that is read whole for what it cost.
const MOST_BYTES: usize = 64 << 20;

/// Whether what an answer costs can be told in its head.
pub(super) fn is_weighed(answer: &Answer, entry: &Entry, ask: &Ask<'_>) -> bool {
    let is_paid = entry.spec.kind.locality() == Locality::Cloud && answer.reply.status().is_success();
    is_paid && !ask.asked.stream && ask.request.endpoint.answers_json()
}

/// What `usage` costs, in USD.
pub(super) fn cost_of(price: Price, usage: Usage) -> f64 {
    let Usage { prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, .. } = usage;
    let (cached, written) = (cached_tokens.unwrap_or(0), cache_write_tokens.unwrap_or(0));
    price.cost_usd(prompt_tokens, completion_tokens, cached, written)
}

/// What `usage` of `model` costs at this backend; `None` where nothing is paid, or nobody knows.
fn paid(edition: &Edition, spec: &BackendSpec, model: &Model, usage: Usage) -> Option<f64> {
    Some(cost_of(price_at(edition, spec, model)?, usage))
}

/// What tokens of `model` cost at this backend.
pub(super) fn price_at(edition: &Edition, spec: &BackendSpec, model: &Model) -> Option<Price> {
    if spec.kind.locality() == Locality::Local {
        return None;
    }
    edition.manner.prices.price_of(spec.kind.as_str(), &model.id)
}

impl Gateway {
    /// A whole answer of a cloud backend, with what it costs.
    ///
    /// # Errors
    /// It broke off.
    pub(super) async fn weigh(
        &self,
        mut answer: Answer,
        spec: &BackendSpec,
        model: &Model,
        ask: &Ask<'_>,
        deadline: Instant,
    ) -> Result<Answer, Miss> {
        let (parts, body) = answer.reply.into_parts();
        let rest = tokio::time::timeout_at(deadline, Limited::new(body, MOST_BYTES).collect()).await;
        let rest = match rest {
            Ok(Ok(rest)) => rest.to_bytes(),
            Ok(Err(error)) => return Err(Miss::Broken(error.to_string())),
            Err(_) => return Err(Miss::Silent(answer.ttft)),
        };
        let first = answer.first.take().unwrap_or_default();
        let whole = if rest.is_empty() { first } else { Bytes::from([first, rest].concat()) };
        let usage = answer.tally.as_ref().and_then(super::tally::Tally::get).or_else(|| {
            let mut observer = Observer::new(ReplyKind::Whole, ask.request.endpoint.dialect());
            observer.push(&whole);
            observer.finish().usage
        });
        answer.cost = usage.and_then(|usage| paid(ask.edition, spec, model, usage));
        answer.reply = http::Response::from_parts(parts, full(Bytes::new()));
        answer.first = (!whole.is_empty()).then_some(whole);
        Ok(answer)
    }
}
