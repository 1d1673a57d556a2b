//! What the probes of a new replica have said so far, for whoever has to be told why it does not become healthy.

use std::time::Duration;

use tokio::time::Instant;

use crate::ports::ProbeAnswer;

/// A probe is answered within milliseconds where all is well: one that is open for this long says more than the one before.
const WORTH_TELLING: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct Probed {
    last: Option<ProbeAnswer>,
    /// When the probe was sent that has no answer yet.
    open: Option<Instant>,
}

impl Probed {
    pub(super) fn sent(&mut self) {
        self.open = Some(Instant::now());
    }

    pub(super) fn answered(&mut self, answer: ProbeAnswer) {
        *self = Self { last: Some(answer), open: None };
    }

    /// Whether nobody was there who speaks HTTP. Servers of TLS answer a plain request with 400.
    pub(super) fn is_unheard(&self) -> bool {
        let spoke = |last: &ProbeAnswer| last.status.is_some_and(|status| status != 400);
        !self.last.as_ref().is_some_and(spoke)
    }

    /// For a person, the newest first.
    pub(super) fn lines(&self) -> Vec<String> {
        let Some(last) = &self.last else { return vec!["no answer yet".to_owned()] };
        let body = last.body.iter().flat_map(|body| body.lines()).map(str::to_owned);
        if self.open.is_some_and(|sent| sent.elapsed() >= WORTH_TELLING) {
            let before = format!("the one before: {last}");
            return ["no answer yet".to_owned(), before].into_iter().chain(body).collect();
        }
        std::iter::once(last.to_string()).chain(body).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> ProbeAnswer {
        ProbeAnswer { healthy: false, status: None, error: Some("connection refused".to_owned()), body: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_is_told_before_the_answer_to_an_earlier_one() {
        let mut probed = Probed::default();
        assert_eq!(probed.lines(), ["no answer yet"]);
        probed.sent();
        probed.answered(refused());
        assert_eq!(probed.lines(), ["connection refused"]);
        probed.sent();
        assert_eq!(probed.lines(), ["connection refused"], "the next one has only just been sent");
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(probed.lines(), ["no answer yet", "the one before: connection refused"]);
    }
}
