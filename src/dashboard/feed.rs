//! Observes once a second for all open pages, and not at all while no page is open.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::flow::{Flow, Point};
use super::{Sight, Source};

/// Interval between two observations.
const TICK: Duration = Duration::from_secs(1);
/// When an observation takes longer, the page reports that the engine hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// One observation.
#[derive(Debug)]
pub(super) struct Moment {
    fields: Map<String, Value>,
    point: Option<Point>,
    pub text: String,
}

impl Moment {
    /// The document of `/api/state`, with these points of the chart.
    fn document(&self, flow: Vec<Point>) -> Value {
        let mut document = json!({ "v": 1 });
        if let Value::Object(fields) = &mut document {
            fields.extend(self.fields.clone());
            fields.insert("flow".to_owned(), flow.into());
        }
        document
    }

    /// The update for a page that has the earlier observations.
    pub fn news(&self) -> Value {
        self.document(self.point.iter().cloned().collect())
    }
}

pub(super) type Moments = watch::Receiver<Option<Arc<Moment>>>;

#[derive(Debug)]
pub(super) struct Feed {
    latest: watch::Sender<Option<Arc<Moment>>>,
    somebody_looks: Notify,
    flow: Mutex<Flow>,
}

impl Feed {
    pub fn new() -> Self {
        Self { latest: watch::Sender::new(None), somebody_looks: Notify::new(), flow: Mutex::default() }
    }

    /// The feed observes while a subscription exists.
    pub fn subscribe(&self) -> Moments {
        let moments = self.latest.subscribe();
        self.somebody_looks.notify_one();
        moments
    }

    /// An observation at most one tick old.
    pub async fn now(&self) -> Option<Arc<Moment>> {
        let mut moments = self.subscribe();
        let moment = moments.wait_for(Option::is_some).await.ok()?;
        moment.clone()
    }

    /// The first message for a page: the observation with the whole chart.
    pub fn whole(&self, moment: &Moment) -> Value {
        moment.document(self.flow.lock().unwrap_or_else(PoisonError::into_inner).points())
    }

    /// Observes for as long as the dashboard runs.
    pub async fn run(&self, source: &impl Source) {
        loop {
            if self.latest.receiver_count() == 0 {
                // The next page must not get an old observation.
                self.latest.send_replace(None);
                self.somebody_looks.notified().await;
                continue;
            }
            let next = Instant::now() + TICK;
            let sight = timeout(PATIENCE, source.look()).await.unwrap_or_else(|_| late());
            self.publish(sight);
            sleep_until(next).await;
        }
    }

    fn publish(&self, sight: Sight) {
        let Sight { fields, totals, text } = sight;
        let mut flow = self.flow.lock().unwrap_or_else(PoisonError::into_inner);
        let point = totals.and_then(|totals| flow.take(Timestamp::now(), Instant::now(), totals));
        self.latest.send_replace(Some(Arc::new(Moment { fields, point, text })));
    }
}

fn late() -> Sight {
    let message = format!("no answer of the engine within {PATIENCE:?}");
    let trouble = json!([{ "what": "engine", "message": message, "hint": Value::Null }]);
    let fields = [("at", Timestamp::now().to_string().into()), ("trouble", trouble)];
    Sight {
        fields: fields.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect(),
        totals: None,
        text: message,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicU32);

    impl Source for Counting {
        async fn look(&self) -> Sight {
            let looks = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            Sight { text: looks.to_string(), ..Sight::default() }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pages_share_one_observation_a_second() {
        let (feed, source) = (Arc::new(Feed::new()), Arc::new(Counting::default()));
        let looks = || source.0.load(Ordering::Relaxed);
        let (worker, eyes) = (Arc::clone(&feed), Arc::clone(&source));
        let task = tokio::spawn(async move { worker.run(&*eyes).await });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(looks(), 0, "no page, no look");

        let pages: Vec<Moments> = (0..5).map(|_| feed.subscribe()).collect();
        tokio::time::sleep(Duration::from_millis(3500)).await;
        assert_eq!(looks(), 4, "five pages");

        drop(pages);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(looks(), 4, "the last page is closed");
        assert_eq!(feed.now().await.expect("a moment").text, "5", "not what was seen a minute ago");
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_engine_is_reported() {
        struct Hanging;
        impl Source for Hanging {
            async fn look(&self) -> Sight {
                std::future::pending().await
            }
        }
        let feed = Arc::new(Feed::new());
        let worker = Arc::clone(&feed);
        let task = tokio::spawn(async move { worker.run(&Hanging).await });
        let moment = feed.now().await.expect("a moment");
        assert_eq!(feed.whole(&moment)["trouble"][0]["message"], "no answer of the engine within 10s");
        task.abort();
    }
}
