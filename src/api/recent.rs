//! One answer for all who ask the same within a moment. What takes the whole mesh to answer may be asked for without a key: so
//! however many ask, and however soon they leave, the other peers are asked once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard, oneshot};
use tokio::time::Instant;

use crate::env::Tasks;

/// Different questions whose answers are kept.
const MOST: usize = 128;

/// Answers of the last moment, by question.
pub(super) struct Recent<K, T> {
    slots: Mutex<BTreeMap<K, Slot<T>>>,
    tasks: Tasks,
    fresh: Duration,
}

/// An answer, and when somebody began to make it. It is locked while it is made.
type Slot<T> = Arc<Turn<Option<(Instant, T)>>>;

impl<K: Ord, T: Clone + Default + Send + 'static> Recent<K, T> {
    /// Answers that are good for `fresh` from when they were begun, each made by one of `tasks`.
    pub(super) fn new(tasks: Tasks, fresh: Duration) -> Self {
        Recent { slots: Mutex::default(), tasks, fresh }
    }

    /// The answer to `question`: the last one as long as it is fresh, else the one that `answer` makes. Where it is being made
    /// already, that is waited for. It is made to its end, whoever goes away meanwhile. There is none where this node stops.
    pub(super) async fn get(&self, question: K, answer: impl Future<Output = T> + Send + 'static) -> T {
        let Some(slot) = self.slot(question) else { return answer.await };
        let came = Instant::now();
        let made = slot.lock_owned().await;
        match &*made {
            Some((begun, kept)) if came.saturating_duration_since(*begun) < self.fresh => kept.clone(),
            _ => self.make(made, answer).await,
        }
    }

    async fn make(
        &self,
        mut made: OwnedMutexGuard<Option<(Instant, T)>>,
        answer: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (tell, told) = oneshot::channel();
        let begun = Instant::now();
        self.tasks.spawn("answer", async move {
            let fresh = answer.await;
            *made = Some((begun, fresh.clone()));
            drop(made);
            let _ = tell.send(fresh);
        });
        told.await.unwrap_or_default()
    }

    /// Whether somebody waits for it or would be glad of it.
    fn is_wanted(&self, slot: &Slot<T>) -> bool {
        let is_fresh = |made: &Option<(Instant, T)>| made.as_ref().is_some_and(|(at, _)| at.elapsed() < self.fresh);
        Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|made| is_fresh(&made))
    }

    /// Where the answer is kept; `None` where there are too many. Then whoever asks makes one of its own, and no task is left
    /// behind where it goes away.
    fn slot(&self, question: K) -> Option<Slot<T>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(&question) {
            slots.retain(|_, slot| self.is_wanted(slot));
            if slots.len() >= MOST {
                return None;
            }
        }
        Some(slots.entry(question).or_default().clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    const FRESH: Duration = Duration::from_secs(1);
    const SLOW: Duration = Duration::from_millis(200);

    #[derive(Clone, Default)]
    struct Asked(Arc<AtomicUsize>);

    impl Asked {
        /// How many have asked before, and now.
        fn answer(&self) -> impl Future<Output = usize> + Send + 'static {
            let count = self.0.clone();
            async move {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                sleep(SLOW).await;
                number
            }
        }
    }

    fn recent() -> (Recent<u8, usize>, Asked) {
        (Recent::new(Tasks::new(), FRESH), Asked::default())
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_within_a_second_get_one_answer() {
        let (recent, asked) = recent();
        let all = join_all((0..1_000).map(|_| recent.get(1, asked.answer()))).await;
        assert!(all.iter().all(|answer| *answer == 1));
        sleep(FRESH - SLOW - Duration::from_millis(1)).await;
        assert_eq!(recent.get(1, asked.answer()).await, 1);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(recent.get(1, asked.answer()).await, 2, "it is too old, from when it was begun");
        assert_eq!(recent.get(2, asked.answer()).await, 3, "another question");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_longer_than_it_is_fresh_is_for_all_who_wait_for_it() {
        let recent = Recent::<u8, usize>::new(Tasks::new(), 2 * SLOW / 3);
        let asked = Asked::default();
        let all = join_all((0..10).map(|_| recent.get(1, asked.answer()))).await;
        assert_eq!(all, [1; 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_while_it_asks_takes_nothing_away() {
        let (recent, asked) = recent();
        for _ in 0..3 {
            let impatient = tokio::time::timeout(SLOW / 8, recent.get(1, asked.answer())).await;
            assert!(impatient.is_err());
        }
        assert_eq!(recent.get(1, asked.answer()).await, 1, "it was asked for once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_stops_keeps_nobody_waiting() {
        let tasks = Tasks::new();
        let recent = Recent::<u8, usize>::new(tasks.clone(), FRESH);
        let asking = recent.get(1, async {
            std::future::pending::<()>().await;
            1
        });
        let (answer, ()) = tokio::join!(asking, async { tasks.cancel() });
        assert_eq!(answer, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_most_of_what_is_kept_and_everybody_is_answered() {
        let recent = Recent::<usize, usize>::new(Tasks::new(), FRESH);
        let answers = join_all((0..10 * MOST).map(|number| recent.get(number, async move { number }))).await;
        assert_eq!(answers, (0..10 * MOST).collect::<Vec<_>>());
        assert!(recent.slots.lock().expect("slots").len() <= MOST);
        sleep(FRESH).await;
        recent.get(usize::MAX, async { 0 }).await;
        assert_eq!(recent.slots.lock().expect("slots").len(), 1, "what is old is not kept");
    }
}
