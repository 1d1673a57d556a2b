//! Speculative work: started before it is known to be needed.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Runs `first` and `second` concurrently and returns as soon as `first` is done, with its result and the future for
/// the rest of `second`. Drop that future to cancel `second`.
pub async fn ahead<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, impl Future<Output = B>) {
    let mut first = pin!(first);
    let mut second = Box::pin(second);
    let mut done = None;
    let result = poll_fn(|context| {
        if done.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(context)
        {
            done = Some(output);
        }
        first.as_mut().poll(context)
    })
    .await;
    let rest = async move {
        match done {
            Some(output) => output,
            None => second.await,
        }
    };
    (result, rest)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn both_run_concurrently() {
        let work = |seconds| async move {
            sleep(Duration::from_secs(seconds)).await;
            seconds
        };
        for (one, other) in [(3, 5), (5, 3)] {
            let begun = Instant::now();
            let (first, rest) = ahead(work(one), work(other)).await;
            assert_eq!((first, begun.elapsed().as_secs()), (one, one));
            assert_eq!((rest.await, begun.elapsed().as_secs()), (other, 5));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_does_not_wait_for_the_second() {
        let (first, _) = ahead(async { 7 }, pending::<()>()).await;
        assert_eq!(first, 7);
    }
}
