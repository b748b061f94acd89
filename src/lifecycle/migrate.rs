//! A model from one backend to another, wherever they are: loaded there first, unloaded here when it is. The source serves
//! until then, and what it has begun it ends.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::book::{Beginning, Running};
use super::place::Place;
use super::{Lifecycle, Wish};
use crate::exchange::{Objection, ObjectionReason, Operation, OperationKind};
use crate::fleet::Residency;

/// A source that is busy with something else is asked again after this.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// What is to move, and where.
#[derive(Clone, Debug, Default)]
pub struct Move {
    /// The model.
    pub model: String,
    /// The backend it leaves, and its peer, where one is named.
    pub source: (String, Option<String>),
    /// The backend it goes to, and its peer.
    pub target: (String, Option<String>),
    /// The target fetches it first.
    pub pull: bool,
}

impl Lifecycle {
    /// Begins to move a model from one backend to another.
    ///
    /// # Errors
    /// Why it is not even begun.
    pub async fn migrate(&self, wish: &Move) -> Result<Operation, Objection> {
        let Move { model, pull, .. } = wish;
        let find = |(backend, peer): &(String, Option<String>), kind| {
            let (backend, peer) = (Some(backend.clone()), peer.clone());
            self.find(&Wish { model: model.clone(), backend, peer, pull: *pull }, kind)
        };
        let source = find(&wish.source, OperationKind::Unload)?;
        let target = find(&wish.target, OperationKind::Load)?;
        if source.is_same(&target) {
            return Err(Objection::new(ObjectionReason::Senseless, "the model is to go where it is"));
        }
        let lacks =
            || Objection::new(ObjectionReason::Busy, format!("{} does not have {model} loaded", source.shown()));
        match self.look_at(&source, model).await {
            Ok(Residency::Loaded) => {}
            Ok(_) => return Err(lacks()),
            Err(objection) if objection.reason == ObjectionReason::Unknown => return Err(lacks()),
            Err(objection) => return Err(objection),
        }
        let loading = self.load_at(&target, model, *pull).await?;
        let (backend, peer) = (target.backend(), self.name());
        let what =
            Beginning { kind: OperationKind::Migrate, model, backend, source: Some(source.backend()), peer: &peer };
        let Ok(running) = self.0.book.begin(&what) else {
            return Err(Objection::new(ObjectionReason::Busy, "something else is under way there"));
        };
        let (begun, this, model) = (running.now(), self.clone(), model.clone());
        self.0.env.tasks.spawn("lifecycle", async move {
            let result = this.move_over(&running, loading, &source, &model).await;
            match &result {
                Ok(()) => {
                    info!(operation = running.id(), model, from = source.shown(), to = target.shown(), "Model moved")
                }
                Err(error) => warn!(operation = running.id(), model, %error, "Model not moved"),
            }
            running.end(result.map_err(|objection| objection.message));
        });
        Ok(begun)
    }

    /// Waits for the target, then has the source let go.
    async fn move_over(
        &self,
        running: &Running,
        loading: Operation,
        source: &Place,
        model: &str,
    ) -> Result<(), Objection> {
        let failed = |message: String| Objection::new(ObjectionReason::Failed, message);
        let loaded = self.watch(running, loading).await?;
        if let Some(error) = loaded.error {
            return Err(failed(format!("the target did not load it, the source still has it: {error}")));
        }
        let until = Instant::now() + self.0.config.timeout();
        let unloading = loop {
            match self.unload_at(source, model, true).await {
                // It went by itself.
                Err(objection) if objection.reason == ObjectionReason::Senseless => return Ok(()),
                Err(objection) if objection.reason == ObjectionReason::Busy && Instant::now() < until => {
                    sleep(TRY_AGAIN).await;
                }
                answer => break answer?,
            }
        };
        let unloaded = self.watch(running, unloading).await?;
        match unloaded.error {
            Some(error) => Err(failed(format!("both have it now: the source did not unload it: {error}"))),
            None => Ok(()),
        }
    }

    /// Waits for the end of a part of it. Its owner has a deadline of its own; one that says nothing any more has not.
    async fn watch(&self, running: &Running, part: Operation) -> Result<Operation, Objection> {
        let mut part = part;
        let mut heard = Instant::now();
        while !part.has_ended() {
            match self.wait_for(part.clone(), Duration::from_secs(1)).await {
                Ok(now) => (part, heard) = (now, Instant::now()),
                Err(objection) if heard.elapsed() >= self.0.config.timeout() => return Err(objection),
                Err(_) => sleep(TRY_AGAIN).await,
            }
            running.tell(part.progress.filter(|_| part.kind == OperationKind::Load));
        }
        Ok(part)
    }
}
