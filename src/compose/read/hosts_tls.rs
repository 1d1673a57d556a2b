//! What the routes of a file come to together: each host's certificate, from a file or by ACME.

use std::collections::{BTreeMap, BTreeSet};

use super::routes::Routed;
use super::tls::Source;
use crate::compose::context::Context;
use crate::compose::error::Problem;
use crate::compose::text::node::Span;
use crate::model::{AcmeSpec, Certificate, ProxySpec};

/// HTTPS needs its port, and ACME its account; and a host is served with one certificate, however many routes it has. Returns those of
/// files, and the hosts of the others.
pub(super) fn certificates<'r>(
    cx: &mut Context<'_>,
    proxy: &ProxySpec,
    routes: impl Iterator<Item = &'r Routed>,
) -> (BTreeMap<String, Certificate>, BTreeSet<String>) {
    let mut found: BTreeMap<String, (Option<Certificate>, Span)> = BTreeMap::new();
    let (mut is_port_told, mut is_account_told) = (false, false);
    for (route, span, source) in routes.filter(|(route, ..)| route.tls.is_some()) {
        if proxy.https_port.is_none() && !std::mem::replace(&mut is_port_told, true) {
            let problem = Problem::at(*span, format!("route `{route}` has `tls`, but the proxy listens for no HTTPS"));
            cx.refuse(problem.hint("add `https_port: 443` to `x-deploy-apps: { proxy: … }` at the top of the file"));
        }
        let Some(host) = &route.host else { continue };
        let certificate = match source {
            Source::None => continue,
            Source::File(certificate) => Some(certificate.clone()),
            Source::Automatic => {
                match &proxy.acme {
                    Some(acme) => judge_automatic(cx, acme, host, *span),
                    None if std::mem::replace(&mut is_account_told, true) => {}
                    None => {
                        let message = format!("route `{route}` has `tls: auto`, but the proxy has no account at a CA");
                        let hint = "add `acme: { email: ops@shop.example }` to `x-deploy-apps: { proxy: … }` at the top of the \
                                    file: with it you agree to the terms of Let's Encrypt";
                        cx.refuse(Problem::at(*span, message).hint(hint));
                    }
                }
                None
            }
        };
        let id = |one: &Option<Certificate>| one.as_ref().map(|certificate| certificate.id.clone());
        let (first, place) = found.entry(host.clone()).or_insert_with(|| (certificate.clone(), *span));
        if id(first) != id(&certificate) {
            let message = format!("`{host}` has another certificate in line {}", place.line);
            cx.refuse(
                Problem::at(*span, message).hint("name the same files at each route of a host, or `auto` at each"),
            );
        }
    }
    let (files, automatic): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(_, (certificate, _))| certificate.is_some());
    let files = files.into_iter().filter_map(|(host, (certificate, _))| Some((host, certificate?)));
    (files.collect(), automatic.into_iter().map(|(host, _)| host).collect())
}

/// What no CA would give is refused before anybody asks for it.
fn judge_automatic(cx: &mut Context<'_>, acme: &AcmeSpec, host: &str, span: Span) {
    if host.starts_with("*.") && acme.dns.is_none() {
        let message = format!("a certificate for the wildcard `{host}` is given only by way of DNS");
        let hint = "add `dns: { provider: …, secrets: … }` to `acme`, or name the hosts";
        cx.refuse(Problem::at(span, message).hint(hint));
    } else if acme.server == AcmeSpec::SERVER && is_private(host) {
        let message = format!("`{host}` is no public name, and Let's Encrypt gives no certificate for it");
        let hint =
            "use a domain of your own; a CA of your own is named by `acme.server`, certificates of your own by files";
        cx.refuse(Problem::at(span, message).hint(hint));
    }
}

/// Names that no public DNS has, and addresses.
fn is_private(host: &str) -> bool {
    const TOPS: [&str; 8] = ["home.arpa", "internal", "invalid", "lan", "local", "localhost", "onion", "test"];
    let is_below = |top: &&str| host == *top || host.strip_suffix(top).is_some_and(|rest| rest.ends_with('.'));
    !host.contains('.') || TOPS.iter().any(is_below) || host.parse::<std::net::Ipv4Addr>().is_ok()
}
