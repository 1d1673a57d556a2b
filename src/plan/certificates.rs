//! Certificates of an app's hosts: in the proxy before its routes need them, and away once no route does. They belong to no
//! release: an undo and a rollback leave the newest one.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{AppPlan, Verdict};
use super::refusal::PlanRefused;
use super::stage::{Planned, Stage};
use super::step::Step;
use crate::model::{
    AcmeSpec, App, AppKey, AppRecord, Certificate, CertificateChange, CertificateOrder, ObservedCertificate,
    ObservedProxy, ObservedState, Project, ProjectName, Route,
};

/// Puts the steps for the certificates of `app`'s hosts before all others, since nothing is touched when one is refused, and those
/// that take others away after all others.
///
/// # Errors
/// When the proxy cannot serve HTTPS, or a host has no certificate.
pub(super) fn with_certificates(
    mut plan: AppPlan,
    project: &Project,
    app: &App,
    observed: &ObservedState,
) -> Result<AppPlan, PlanRefused> {
    let proxy = &observed.proxy;
    let hosts = hosts(&app.routes);
    if !hosts.is_empty() && !proxy.keeps_certificates() {
        return Err(PlanRefused::ProxyWithoutHttps { app: plan.app, proxy: project.proxy.name.to_string() });
    }
    let mut lanes = Vec::new();
    let mut orders = Vec::new();
    for host in &hosts {
        let observed = proxy.certificates.get(*host).filter(|known| known.id.is_some());
        let known = observed.and_then(|known| known.id.as_ref());
        if let Some(acme) = project.proxy.acme.as_ref().filter(|_| project.automatic.contains(*host)) {
            if !proxy.knows_acme() {
                return Err(PlanRefused::ProxyWithoutAcme { app: plan.app, proxy: project.proxy.name.to_string() });
            }
            if !observed.is_some_and(ObservedCertificate::is_automatic) {
                orders.push(ordering(project, acme, app, host, known.is_some()));
            }
            continue;
        }
        match project.certificates.get(*host) {
            Some(wanted) if known != Some(&wanted.id) => {
                lanes.push(vec![storing(project, app, host, known, wanted)]);
            }
            Some(_) => {}
            // Its files are not here. What the proxy has goes on.
            None if known.is_some() => {}
            None => return Err(PlanRefused::NoCertificate { app: plan.app, host: (*host).to_owned() }),
        }
    }
    if !orders.is_empty() {
        // One after the other: a CA counts what is asked of it.
        lanes.push(orders);
    }
    if !lanes.is_empty() {
        plan.before.insert(0, Stage::beside(lanes));
        if plan.verdict == Verdict::UpToDate {
            plan.verdict = Verdict::Adjust;
        }
    }
    let record = proxy.apps.get(&plan.app).and_then(|known| known.record.as_ref());
    let dropped = |certificate: &&ObservedCertificate| {
        let host = certificate.host.as_str();
        record.is_some_and(|record| self::hosts(&record.routes).contains(host))
            && !hosts.contains(host)
            && !project.certificates.contains_key(host)
            && !project.automatic.contains(host)
    };
    let others = others(proxy, &BTreeSet::from([plan.app.clone()]));
    let gone = unneeded(&proxy.certificates, others.into_iter()).into_iter().filter(dropped);
    let lanes: Vec<_> = gone.map(|certificate| vec![removal(&project.name, certificate)]).collect();
    if !lanes.is_empty() {
        plan.after.push(Stage::beside(lanes));
    }
    Ok(plan)
}

/// The certificates of the project that nobody needs once these apps are gone.
pub(super) fn removed_with(project: &ProjectName, apps: &BTreeSet<AppKey>, proxy: &ObservedProxy) -> Stage {
    let others = others(proxy, apps);
    let own = |certificate: &&ObservedCertificate| certificate.project.as_ref() == Some(project);
    let gone = unneeded(&proxy.certificates, others.into_iter()).into_iter().filter(own);
    Stage::beside(gone.map(|certificate| vec![removal(project, certificate)]).collect())
}

fn hosts(routes: &[Route]) -> BTreeSet<&str> {
    routes.iter().filter(|route| route.tls.is_some()).filter_map(|route| route.host.as_deref()).collect()
}

fn others<'a>(proxy: &'a ObservedProxy, apps: &BTreeSet<AppKey>) -> Vec<&'a AppRecord> {
    let others = proxy.apps.iter().filter(|(key, _)| !apps.contains(*key));
    others.filter_map(|(_, known)| known.record.as_ref()).collect()
}

fn storing(project: &Project, app: &App, host: &str, known: Option<&String>, wanted: &Certificate) -> Planned {
    let change = CertificateChange {
        host: host.to_owned(),
        project: project.name.clone(),
        expect: known.cloned(),
        certificate: Some(wanted.clone()),
        replaces: app.replaces.clone(),
    };
    let because = if known.is_some() { "the file holds another one" } else { "the proxy has none for this host" };
    Planned::new(Step::ChangeCertificate(Box::new(change)), because)
}

fn ordering(project: &Project, acme: &AcmeSpec, app: &App, host: &str, is_known: bool) -> Planned {
    let order = CertificateOrder {
        host: host.to_owned(),
        project: project.name.clone(),
        container: project.proxy.name.certificates(),
        from: acme.place().to_owned(),
        by_dns: acme.dns.is_some(),
        again: false,
        replaces: app.replaces.clone(),
        timeout: CertificateOrder::TIMEOUT,
    };
    let because = if is_known { "the proxy has one of a file" } else { "the proxy has none for this host" };
    Planned::new(Step::OrderCertificate(Box::new(order)), because)
}

fn removal(project: &ProjectName, certificate: &ObservedCertificate) -> Planned {
    let change = CertificateChange {
        host: certificate.host.clone(),
        project: project.clone(),
        expect: certificate.id.clone(),
        certificate: None,
        replaces: None,
    };
    Planned::new(Step::ChangeCertificate(Box::new(change)), "no route needs it any more")
}

/// The certificates that nobody needs where these are the records: no route is for HTTPS on their host.
fn unneeded<'a>(
    certificates: &'a BTreeMap<String, ObservedCertificate>,
    records: impl Iterator<Item = &'a AppRecord> + Clone,
) -> Vec<&'a ObservedCertificate> {
    let needs = |host: &str| {
        let mut routes = records.clone().flat_map(|record| &record.routes);
        routes.any(|route| route.tls.is_some() && route.host.as_deref() == Some(host))
    };
    certificates.values().filter(|certificate| !needs(&certificate.host)).collect()
}
