//! `deploy-apps certificates`

use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::cli::common::Format;
use crate::cli::context::{Context, stdout_width};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::model::{CertificateOrder, ObservedCertificate, ObservedProxy};
use crate::ports::Proxy as _;
use crate::report::certificates::Certificates;
use crate::rollout::order;

#[derive(Debug, Args)]
pub struct CertificatesArgs {
    #[command(subcommand)]
    command: Option<CertificatesCommand>,
}

#[derive(Debug, Subcommand)]
enum CertificatesCommand {
    /// Have a new certificate ordered now, for hosts with `tls: auto`; what there is serves until it is there
    Renew {
        /// Hosts of the project; without one, all whose certificate comes by ACME
        hosts: Vec<String>,
    },
}

/// Lists what the proxy has for the project's hosts, or renews it.
pub async fn run(context: &Context, args: &CertificatesArgs) -> Result<Exit, Failure> {
    let proxy = context.proxy();
    let state = tokio::select! {
        biased;
        () = context.signals.cancel.cancelled() => return Ok(context.signals.exit()),
        state = proxy.state() => state?,
    };
    match &args.command {
        Some(CertificatesCommand::Renew { hosts }) => renew(context, &state, hosts).await,
        None => list(context, &state),
    }
}

/// That there is nothing is no failure.
fn list(context: &Context, state: &ObservedProxy) -> Result<Exit, Failure> {
    let project = &context.project;
    let list = Certificates {
        project: project.name.clone(),
        at: Timestamp::now(),
        all: state.certificates_of(&project.name).cloned().collect(),
    };
    let text = match context.format {
        Format::Json => list.document().to_string(),
        _ => list.lines(stdout_width()).join("\n"),
    };
    output::result(format!("{text}\n").as_bytes())?;
    Ok(Exit::Done)
}

/// One after the other; then the list. One that fails does not keep the others from theirs.
async fn renew(context: &Context, state: &ObservedProxy, hosts: &[String]) -> Result<Exit, Failure> {
    let own: Vec<&ObservedCertificate> =
        state.certificates_of(&context.project.name).filter(|one| one.is_automatic()).collect();
    if let Some(other) = hosts.iter().find(|host| !own.iter().any(|one| one.host == **host)) {
        let message = format!("project `{}` has no certificate of `{other}` that comes by ACME", context.project.name);
        return Err(Failure::new(Exit::Usage, message).hint("`deploy-apps certificates` lists those that there are"));
    }
    let chosen: Vec<_> = own.into_iter().filter(|one| hosts.is_empty() || hosts.contains(&one.host)).collect();
    if chosen.is_empty() {
        let message = format!("project `{}` has no certificate that comes by ACME", context.project.name);
        return Err(Failure::new(Exit::Usage, message).hint("`tls: auto` of a route orders one with the next deploy"));
    }
    let acme = context.project.proxy.acme.as_ref();
    let mut failed = None;
    for one in chosen {
        let wanted = CertificateOrder {
            host: one.host.clone(),
            project: context.project.name.clone(),
            container: context.project.proxy.name.certificates(),
            from: acme.map_or("the CA", |acme| acme.place()).to_owned(),
            by_dns: acme.is_some_and(|acme| acme.dns.is_some()),
            again: true,
            replaces: None,
            timeout: CertificateOrder::TIMEOUT,
        };
        match order(&*context.engine, &context.proxy(), &wanted, &context.signals.cancel).await {
            Ok(_) => {}
            Err(_) if context.signals.cancel.is_cancelled() => return Ok(context.signals.exit()),
            Err(failure) => {
                if let Some(before) = failed.replace(failure) {
                    errln!("error: {before}");
                }
            }
        }
    }
    match failed {
        None => list(context, &context.proxy().state().await?),
        Some(failure) => {
            let kept = "the one that there is serves on";
            let shown = Failure::new(Exit::Failed, format!("{failure}; {kept}"));
            Err(Failure { hint: failure.hint, details: failure.details, ..shown })
        }
    }
}
