//! Certificates of hosts: before the routes that need them, as a step of their own, and away with the last route.

use std::sync::Arc;

use deploy_apps::event::{Fact, Outcome};
use deploy_apps::model::{AcmeSpec, Certificate, Project, RouteTls, Secret};

use super::{compare, reads};
use crate::fixture::*;
use crate::scenes::{Scene, deployed};
use crate::session::{Desired, look, no_faults, run};

fn certificate(id: &str) -> Certificate {
    let at = |text: &str| text.parse().expect("a time");
    Certificate {
        id: id.to_owned(),
        not_before: at("2026-01-01T00:00:00Z"),
        not_after: at("2027-01-01T00:00:00Z"),
        chain: "CHAIN".to_owned(),
        key: Secret::new("KEY".to_owned()),
    }
}

/// `go-app` over HTTPS, with this certificate.
fn secure(id: &str) -> Project {
    let mut go = app("go-app");
    go.routes[0].tls = Some(RouteTls { redirect: true, hsts: None });
    let mut project = project([go]);
    project.proxy.https_port = Some(8443);
    project.certificates.insert("go-app.localhost".to_owned(), certificate(id));
    project
}

fn plain() -> Project {
    let mut project = project([app("go-app")]);
    project.proxy.https_port = Some(8443);
    project
}

#[tokio::test(start_paused = true)]
async fn a_certificate_comes_before_all_else() {
    // Another app has brought the proxy up.
    let mut other = project([app("node-app")]);
    other.proxy.https_port = Some(8443);
    let world = deployed(&other).await;
    let desired = Desired::of(secure("one"));
    let plan = look(&world, &desired).await.1.expect("a plan").to_string();
    let first =
        "   1 [1] store certificate of `go-app.localhost`, valid until 2027-01-01 — the proxy has none for this host";
    assert_eq!(plan.lines().nth(1), Some(first), "{plan}");
    let report = run(&world, &desired, no_faults()).await;
    assert_eq!(report.outcome(), Outcome::Completed);
    let stored = |fact: &Fact| matches!(fact, Fact::CertificateStored { host, .. } if host == "go-app.localhost");
    assert_eq!(report.facts().filter(|fact| stored(fact)).count(), 1);
    assert_eq!(world.state().certificates["go-app.localhost"].id.as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn another_certificate_is_a_step_of_its_own() {
    let world = deployed(&secure("one")).await;
    let (_, same) = look(&world, &Desired::of(secure("one"))).await;
    assert!(same.expect("a plan").changes_nothing());
    let desired = Desired::of(secure("two"));
    reads("certificate-replaced", &Scene::new("certificate", Arc::clone(&world), desired.clone())).await;
    let report = run(&world, &desired, no_faults()).await;
    assert_eq!(report.outcome(), Outcome::Completed);
    assert_eq!(world.state().certificates["go-app.localhost"].id.as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_goes_with_the_last_route_that_needs_it() {
    let world = deployed(&secure("one")).await;
    let desired = Desired::of(plain());
    reads("certificate-not-needed", &Scene::new("certificate", Arc::clone(&world), desired.clone())).await;
    assert_eq!(run(&world, &desired, no_faults()).await.outcome(), Outcome::Completed);
    assert!(world.state().certificates.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_certificate_nothing_flips() {
    let mut project = secure("one");
    project.certificates.clear();
    let world = deployed(&plain()).await;
    let refused = look(&world, &Desired::of(project)).await.1.expect_err("a refusal");
    compare("certificate-missing", &format!("{refused}\nhint: {}\n", refused.hint()));

    world.state().proxy_is_old = true;
    let refused = look(&world, &Desired::of(secure("one"))).await.1.expect_err("a refusal");
    compare("certificate-old-proxy", &format!("{refused}\nhint: {}\n", refused.hint()));
}

/// `go-app` over HTTPS, with a certificate by ACME.
fn automatic() -> Project {
    let mut project = secure("one");
    project.certificates.clear();
    project.automatic.insert("go-app.localhost".to_owned());
    let (email, server) = ("ops@shop.example".to_owned(), AcmeSpec::SERVER.to_owned());
    project.proxy.acme = Some(AcmeSpec { email, server, ca: None, dns: None });
    project
}

#[tokio::test(start_paused = true)]
async fn a_certificate_by_acme_is_ordered_first_and_once() {
    let world = deployed(&plain()).await;
    let desired = Desired::of(automatic());
    reads("certificate-ordered", &Scene::new("certificate", Arc::clone(&world), desired.clone())).await;
    let report = run(&world, &desired, no_faults()).await;
    assert_eq!(report.outcome(), Outcome::Completed);
    let stored = |fact: &Fact| matches!(fact, Fact::CertificateStored { expires, .. } if expires == "2027-01-01");
    assert_eq!(report.facts().filter(|fact| stored(fact)).count(), 1);
    let (_, same) = look(&world, &desired).await;
    assert!(same.expect("a plan").changes_nothing());
    // Back to a file's, and to no HTTPS at all.
    let of_file = Desired::of(secure("one"));
    assert_eq!(run(&world, &of_file, no_faults()).await.outcome(), Outcome::Completed);
    assert_eq!(world.state().certificates["go-app.localhost"].source.as_deref(), Some("file"));
    assert_eq!(run(&world, &desired, no_faults()).await.outcome(), Outcome::Completed);
    assert_eq!(run(&world, &Desired::of(plain()), no_faults()).await.outcome(), Outcome::Completed);
    assert!(world.state().certificates.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_app_without_its_first_certificate_is_left_as_it_was() {
    let world = deployed(&plain()).await;
    let before = world.state().apps.clone();
    world.state().ca_says = vec!["400 :: urn:ietf:params:acme:error:dns :: no A record".to_owned()];
    let report = run(&world, &Desired::of(automatic()), no_faults()).await;
    assert_eq!(report.outcome(), Outcome::RolledBack);
    let told = report.facts().find_map(|fact| match fact {
        Fact::StepFailed { error, hint, details, .. } => Some((error.clone(), hint.clone(), details.clone())),
        _ => None,
    });
    let (error, hint, details) = told.expect("a failed step");
    assert_eq!(error, "`acme-v02.api.letsencrypt.org` gave no certificate of `go-app.localhost`");
    assert!(hint.expect("a hint").starts_with("`go-app.localhost` has no address yet"));
    assert!(details[0].lines[0].contains("no A record"));
    assert_eq!(world.state().apps, before);
    // What renews the others stays.
    assert!(world.state().containers.contains_key("deploy-apps-certificates"));
}
