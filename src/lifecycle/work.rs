//! What is done on this peer's own backends: the order to the server, and the watch until its own list says that it is so.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::Lifecycle;
use super::book::{Beginning, Running};
use crate::backend::lifecycle::{self as server, Standing, Trouble};
use crate::exchange::{Objection, ObjectionReason, Operation, OperationKind};
use crate::fleet::{Model, Residency};
use crate::registry::Entry;

/// How long a server may take to say what it has.
const QUESTION_DEADLINE: Duration = Duration::from_secs(5);

/// How often it is asked whether the model is there, or gone.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What fails within this is told at once, and not left to be found in the operation.
const FIRST_WORD: Duration = Duration::from_millis(250);

/// A server that lists a model while it is still on its way may take so long to say that it is there. Then the list is
/// believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(10);

/// How long requests go elsewhere when a model has moved: until every peer has heard of it.
const NEWS_TRAVEL: Duration = Duration::from_secs(3);

/// How often it is looked whether requests have ended.
const COUNT_EVERY: Duration = Duration::from_millis(20);

/// The name by which a backend lists what it also knows as `model`: Ollama's tag may be left out.
fn listed(entry: &Entry, model: &str) -> String {
    let (models, latest) = (&entry.condition().models, format!("{model}:latest"));
    let has = |name: &str| models.iter().any(|known| known.id == name);
    if !has(model) && has(&latest) { latest } else { model.to_owned() }
}

impl Lifecycle {
    /// Begins to load `model` on a backend of this peer.
    pub(super) async fn load_here(&self, entry: &Arc<Entry>, model: &str, pull: bool) -> Result<Operation, Objection> {
        let model = &*listed(entry, model);
        let (running, standing) = self.begin(entry, model, OperationKind::Load, pull).await?;
        let known = entry.condition().models.iter().find(|known| known.id == model).cloned();
        let model = known.unwrap_or_else(|| Arc::new(Model::named(model)));
        let (this, owner) = (self.clone(), entry.clone());
        let (limit, page) = (self.0.config.timeout(), running.clone());
        let work = async move {
            // A server that only lists it may be about to let it go again: it is told to keep it.
            let is_there = |standing: Standing| standing.residency == Residency::Loaded && standing.is_certain;
            if standing.is_some_and(is_there) && !pull {
                return Ok(());
            }
            if pull {
                let tell = |share| page.tell(Some(share));
                server::pull(&*this.0.env.http, &owner.spec, &model.id, limit, tell).await?;
                page.tell(None);
            }
            if standing.is_none_or(|standing| standing.residency != Residency::Loaded) {
                owner.loads(&model.id);
            }
            let loaded = limited(limit, this.until_loaded(&owner, &model)).await;
            owner.loaded(&model.id, loaded.is_ok());
            owner.check_now.notify_one();
            loaded
        };
        self.run(entry, running, work).await
    }

    /// Begins to unload `model` from a backend of this peer. With `drain` its requests are waited for.
    pub(super) async fn unload_here(
        &self,
        entry: &Arc<Entry>,
        model: &str,
        drain: bool,
    ) -> Result<Operation, Objection> {
        let model = &*listed(entry, model);
        let (running, standing) = self.begin(entry, model, OperationKind::Unload, false).await?;
        if standing.is_none_or(|standing| standing.residency != Residency::Loaded) {
            self.0.book.forget(&running);
            let message = format!("{model} is not loaded on {}", entry.spec.name);
            return Err(Objection::new(ObjectionReason::Senseless, message));
        }
        let leaving = entry.leave(model);
        if !drain && leaving.requests() > 0 {
            self.0.book.forget(&running);
            let message = format!("{model} has {} active requests on {}", leaving.requests(), entry.spec.name);
            return Err(Objection::new(ObjectionReason::Busy, message));
        }
        let (this, owner, model) = (self.clone(), entry.clone(), model.to_owned());
        let limit = self.0.config.timeout();
        let work = limited(limit, async move {
            while leaving.requests() > 0 {
                sleep(COUNT_EVERY).await;
            }
            server::unload(&*this.0.env.http, &owner.spec, &model, limit).await?;
            while this.standing(&owner, &model).await?.residency == Residency::Loaded {
                sleep(LOOK_EVERY).await;
            }
            this.0.registry.unloaded(&owner, &model);
            if drain {
                // Peers that have not heard of it yet would have it loaded again.
                this.0.env.tasks.spawn("lifecycle", async move {
                    sleep(NEWS_TRAVEL).await;
                    drop(leaving);
                });
            }
            Ok(())
        });
        self.run(entry, running, work).await
    }

    /// Where `model` is on a backend of this peer.
    pub(super) async fn look_here(&self, entry: &Entry, model: &str) -> Result<Residency, Objection> {
        let standing = self.standing(entry, model).await.map_err(|trouble| objection(&trouble, model, entry))?;
        Ok(standing.residency)
    }

    async fn standing(&self, entry: &Entry, model: &str) -> Result<Standing, Trouble> {
        server::standing(&*self.0.env.http, &entry.spec, model, QUESTION_DEADLINE).await
    }

    /// Claims a backend, and asks its server where the model is; `None` where it need not have it yet.
    async fn begin(
        &self,
        entry: &Arc<Entry>,
        model: &str,
        kind: OperationKind,
        pull: bool,
    ) -> Result<(Arc<Running>, Option<Standing>), Objection> {
        let (backend, peer) = (entry.spec.name.as_str(), self.name());
        let running = self.0.book.begin(&Beginning { kind, model, backend, source: None, peer: &peer });
        let running = running.map_err(|taken| {
            let (id, model) = (taken.0.operation_id, taken.0.model_id);
            let message = format!("{backend} is busy: {id} is under way there, for {model}");
            Objection::new(ObjectionReason::Busy, message)
        })?;
        match self.standing(entry, model).await {
            Ok(standing) => Ok((Arc::new(running), Some(standing))),
            // It is to come; or it is not there, whatever the reason.
            Err(Trouble::NoModel) if pull || kind == OperationKind::Unload => Ok((Arc::new(running), None)),
            Err(trouble) => {
                self.0.book.forget(&running);
                Err(objection(&trouble, model, entry))
            }
        }
    }

    /// Does `work` in the background. What goes wrong at once is an objection.
    async fn run(
        &self,
        entry: &Arc<Entry>,
        running: Arc<Running>,
        work: impl Future<Output = Result<(), Trouble>> + Send + 'static,
    ) -> Result<Operation, Objection> {
        let (begun, gone) = (running.now(), entry.gone.clone());
        let (tell, hear) = oneshot::channel();
        self.0.env.tasks.spawn("lifecycle", async move {
            let result = tokio::select! {
                biased;
                () = gone.cancelled() => Err(Trouble::Failed("the backend was removed".to_owned())),
                result = work => result,
            };
            running.end(result.clone().map_err(|trouble| trouble.to_string()));
            report(&running.now());
            let _ = tell.send(result.err());
        });
        match timeout(FIRST_WORD, hear).await {
            Ok(Ok(Some(trouble))) => Err(objection(&trouble, &begun.model_id, entry)),
            _ => Ok(begun),
        }
    }

    /// Has the server load a model, and watches its list until the model is there.
    async fn until_loaded(&self, entry: &Entry, model: &Model) -> Result<(), Trouble> {
        let limit = self.0.config.timeout();
        let mut order = pin!(server::load(&*self.0.env.http, &entry.spec, model, limit));
        let mut answered = None;
        let mut listed_since = None;
        loop {
            tokio::select! {
                biased;
                answer = &mut order, if answered.is_none() => answered = Some(answer),
                () = sleep(LOOK_EVERY) => {}
            }
            match (self.standing(entry, &model.id).await, &answered) {
                (Ok(Standing { residency: Residency::Loaded, is_certain, .. }), _) => {
                    let since = *listed_since.get_or_insert_with(Instant::now);
                    if is_certain || matches!(answered, Some(Ok(()))) || since.elapsed() >= BELIEVED_AFTER {
                        return Ok(());
                    }
                    // It was listed, and came to nothing.
                    if let Some(Err(trouble)) = answered {
                        return Err(trouble);
                    }
                }
                (_, Some(Err(trouble))) => return Err(trouble.clone()),
                (Ok(Standing { has_failed: true, .. }), Some(Ok(()))) => {
                    let message = "its server gave up loading the model: see that server's log";
                    return Err(Trouble::Failed(message.to_owned()));
                }
                // One question may go unanswered while a server is busy with loading.
                _ => listed_since = None,
            }
        }
    }
}

/// `work`, unless it takes too long.
async fn limited(limit: Duration, work: impl Future<Output = Result<(), Trouble>>) -> Result<(), Trouble> {
    let late = |_| Trouble::Failed(format!("it took longer than {} ms (lifecycle.timeout_ms)", limit.as_millis()));
    timeout(limit, work).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}

fn objection(trouble: &Trouble, model: &str, entry: &Entry) -> Objection {
    let backend = &entry.spec.name;
    let (reason, message) = match trouble {
        Trouble::Impossible(said) => (ObjectionReason::Impossible, format!("{backend}: {said}")),
        Trouble::NoModel => (ObjectionReason::Unknown, format!("{backend} has no model {}", super::shown(model))),
        Trouble::NoRoom(said) => (ObjectionReason::Senseless, format!("{backend} has no room for {model}: {said}")),
        Trouble::Failed(said) => (ObjectionReason::Failed, format!("{backend}: {said}")),
    };
    Objection::new(reason, message)
}

fn report(ended: &Operation) {
    let Operation { operation_id, model_id, backend_id, error, .. } = ended;
    let (operation, model, backend) = (operation_id.as_str(), model_id.as_str(), backend_id.as_str());
    match (ended.kind, error) {
        (_, Some(error)) => warn!(operation, model, backend, error, "Operation failed"),
        (OperationKind::Unload, None) => info!(operation, model, backend, "Model unloaded"),
        _ => info!(operation, model, backend, "Model loaded"),
    }
}
