//! Has a certificate ordered by ACME: a command in the container that gets them, which goes on when nobody waits for it any more.

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::failure::StepFailure;
use crate::model::{CertificateOrder, day};
use crate::ports::{Engine, HookReport, Proxy};

/// Orders it, and returns the day until when what the proxy now has is valid.
///
/// # Errors
/// With the CA's own words when it gives none.
pub async fn order<E: Engine, P: Proxy>(
    engine: &E,
    proxy: &P,
    order: &CertificateOrder,
    cancel: &CancellationToken,
) -> Result<String, StepFailure> {
    let (host, container, command) = (&order.host, &order.container, order.command());
    let report = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(StepFailure::cancelled()),
        report = engine.run_hook(container, &command) => report?,
        () = sleep(order.timeout) => {
            let message = format!("the order of a certificate of `{host}` did not end within {:?}", order.timeout);
            return Err(StepFailure::failed(message).hint(format!("`docker logs {container}` says more")));
        }
    };
    match report {
        None => {
            let message = format!("`{container}`, which gets certificates, does not run");
            Err(StepFailure::failed(message).hint(format!("`docker logs {container}` says why")))
        }
        Some(HookReport { code: 0, .. }) => {
            let known = proxy.state().await?.certificates.remove(host);
            known.and_then(|known| known.expires()).map(day).ok_or_else(|| {
                StepFailure::failed(format!("the certificate of `{host}` was got, and the proxy does not have it"))
                    .hint(format!("`docker logs {container}` says why"))
            })
        }
        Some(HookReport { code: CertificateOrder::TOO_SOON, output }) => {
            let message = format!("no certificate of `{host}` is ordered right now");
            let hint = format!("a CA counts failures: correct the cause first; {}", order.remedy(&output.join(" ")));
            Err(StepFailure::failed(message).detail("why", output).hint(hint))
        }
        Some(HookReport { output, .. }) => {
            let message = format!("`{}` gave no certificate of `{host}`", order.from);
            let hint = order.remedy(&output.join(" "));
            Err(StepFailure::failed(message).detail("in its own words", output).hint(hint))
        }
    }
}
