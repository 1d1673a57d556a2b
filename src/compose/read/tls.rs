//! `tls` of a route: its certificate, read and judged before anything is deployed.

use jiff::Timestamp;

use super::certificate;
use super::secrets::Declared;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::node::{Entry, Span, Value};
use crate::compose::text::scalar::boolean;
use crate::model::{Certificate, ObservedCertificate, RouteTls, day, days_left};

const EXAMPLE: &str = "write such as `tls: auto`, or `tls: { certificate: ./shop.pem, key: ./shop.key }`";

/// In place of a certificate's file.
const AUTO: &str = "auto";

/// Where one half of a certificate is: a path, or the name of a secret.
type Named = (String, Span);

/// Where the certificate of a route's host comes from.
#[derive(Debug)]
pub(super) enum Source {
    File(Certificate),
    /// By ACME.
    Automatic,
    /// There is no HTTPS, or its problem has been told.
    None,
}

/// What `tls` of the route of this host says; `None` where it is off.
pub(super) fn read(
    cx: &mut Context<'_>,
    field: &Entry,
    host: Option<&str>,
    files: &Declared,
) -> Read<Option<(RouteTls, Source)>> {
    let Value::Map(map) = &field.value.value else {
        let tls = switch(field)?.map(|tls| (tls, Source::Automatic));
        return if tls.is_some() && host.is_none() { Err(without_host(field)) } else { Ok(tls) };
    };
    let (mut chain, mut key) = (None, None);
    let mut tls = RouteTls { redirect: true, hsts: None };
    for part in map.entries.iter().filter(|part| !part.value.is_null()) {
        match part.key.as_str() {
            "certificate" => chain = Some((part.text()?, part.value.span)),
            "key" => key = Some((part.text()?, part.value.span)),
            "redirect" => tls.redirect = boolean("redirect", &part.value)?,
            "hsts" => tls.hsts = Some(part.positive_duration()?.as_secs()),
            _ => {
                if let Some(problem) = refuse::TLS.refusal(part) {
                    return Err(problem);
                }
            }
        }
    }
    let Some(host) = host else {
        return Err(without_host(field));
    };
    match (chain, key) {
        (Some((chain, _)), None) if chain == AUTO => Ok(Some((tls, Source::Automatic))),
        (Some((chain, _)), Some((_, span))) if chain == AUTO => {
            Err(Problem::at(span, "`certificate: auto` has no `key`: it is made with the certificate")
                .hint("remove `key`"))
        }
        (Some(chain), Some(key)) => {
            let source = certificate(cx, host, &chain, &key, files).map_or(Source::None, Source::File);
            Ok(Some((tls, source)))
        }
        (None, None) => Err(Problem::at(field.key_span, "`tls` has neither `certificate` nor `key`").hint(EXAMPLE)),
        (Some((_, span)), None) => Err(Problem::at(span, "`tls` has a `certificate` but no `key`").hint(EXAMPLE)),
        (None, Some((_, span))) => Err(Problem::at(span, "`tls` has a `key` but no `certificate`").hint(EXAMPLE)),
    }
}

fn without_host(field: &Entry) -> Problem {
    Problem::at(field.key_span, "a route with `tls` needs a `host`, which its certificate is for")
        .hint("add the `host`; a route of any host is reached over HTTPS by every host that has a certificate")
}

/// `tls: off` says what is so without it, `tls: auto` all that is usual with it.
fn switch(field: &Entry) -> Read<Option<RouteTls>> {
    match boolean("tls", &field.value) {
        Ok(false) => Ok(None),
        _ if field.text().is_ok_and(|text| text == AUTO) => Ok(Some(RouteTls { redirect: true, hsts: None })),
        _ => Err(field.expected("`auto`, `off`, or a map of `certificate` and `key`").hint(EXAMPLE)),
    }
}

/// Values are often not where a file is only looked at, so what is wrong with them concerns only who deploys.
fn certificate(
    cx: &mut Context<'_>,
    host: &str,
    (chain, at_chain): &Named,
    (key, at_key): &Named,
    files: &Declared,
) -> Option<Certificate> {
    let texts = cx.keep(files.value(cx, chain, *at_chain).map_err(Problem::missing)).flatten();
    let keys = cx.keep(files.value(cx, key, *at_key).map_err(Problem::missing)).flatten();
    let (texts, keys) = (texts?, keys?);
    let now = Timestamp::now();
    let read = certificate::read(host, texts.bytes()?, keys.bytes()?, now).map_err(|fault| {
        let (what, name, span) = if fault.is_of_key { ("key", key, at_key) } else { ("certificate", chain, at_chain) };
        Problem::at(*span, format!("{what} `{name}` of `{host}` {}", fault.message)).hint(fault.hint).missing()
    });
    let certificate = cx.keep(read)?;
    let left = days_left(certificate.not_after, now);
    if left < ObservedCertificate::SOON_DAYS {
        let until = day(certificate.not_after);
        let message = format!("certificate `{chain}` of `{host}` expires on {until}, in {left} days");
        cx.warn(Problem::at(*at_chain, message).hint("get a new one and deploy again: nothing else is replaced then"));
    }
    Some(certificate)
}
