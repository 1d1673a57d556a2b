//! `acme` of the proxy: the account at a CA that gives certificates without anybody, and how it is shown that a host is ours.

use indexmap::IndexMap;

use super::secrets::Declared;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, clip};
use crate::compose::text::scalar::{boolean, raw};
use crate::model::{AcmeDns, AcmeSpec, ContainerFile};

const EXAMPLE: &str = "write such as `acme: { email: ops@shop.example }`: with it you agree to the terms of the CA";
const DNS_EXAMPLE: &str =
    "write such as `dns: { provider: cloudflare, secrets: { CF_DNS_API_TOKEN: cloudflare_token } }`";
/// Where the files are in the container.
const SECRETS: &str = "/run/secrets";
/// The user of the proxy's image.
const USER: u32 = 10001;

pub(super) fn read(cx: &mut Context<'_>, field: &Entry, files: &Declared) -> Option<AcmeSpec> {
    let map = cx.keep(collections::map(field).map_err(|problem| problem.hint(EXAMPLE)))?;
    let mut email = None;
    let mut spec = AcmeSpec { email: String::new(), server: AcmeSpec::SERVER.to_owned(), ca: None, dns: None };
    for part in map.entries.iter().filter(|part| !part.value.is_null()) {
        match part.key.as_str() {
            "email" => cx.set_some(&mut email, self::email(part)),
            "server" => cx.set(&mut spec.server, server(part)),
            "ca" => {
                let read = part.text().and_then(|name| file(cx, files, "ca", &name, part));
                spec.ca = cx.keep(read).flatten();
            }
            "dns" => spec.dns = dns(cx, part, files),
            _ => refuse::ACME.judge(cx, part),
        }
    }
    if map.get("email").is_none() {
        cx.refuse(Problem::at(field.key_span, "`acme` has no `email`").hint(EXAMPLE));
    }
    // That there is none has been told, once.
    Some(AcmeSpec { email: email.unwrap_or_default(), ..spec })
}

fn email(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let is_fine = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
        && text.chars().all(|c| c.is_ascii_graphic());
    if is_fine { Ok(text) } else { Err(field.expected("an address such as `ops@shop.example`").hint(EXAMPLE)) }
}

/// A CA is trusted by its certificate, so it is reached by HTTPS.
fn server(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let is_fine = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if is_fine && text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(text);
    }
    let hint = format!("leave it out for Let's Encrypt, `{}`", AcmeSpec::SERVER);
    Err(field.expected("the `https://` address of an ACME directory").hint(hint))
}

/// The secret of this name, or the file at this path; `None` when its value is missing, which has been told.
fn file(
    cx: &mut Context<'_>,
    files: &Declared,
    name: &str,
    source: &str,
    place: &Entry,
) -> Read<Option<ContainerFile>> {
    let content = files.value(cx, source, place.value.span).map_err(Problem::missing);
    let content = cx.keep(content).flatten();
    let target = format!("{SECRETS}/{name}");
    let file = |content| ContainerFile { name: name.to_owned(), target, uid: USER, gid: USER, mode: 0o400, content };
    Ok(content.map(file))
}

fn dns(cx: &mut Context<'_>, field: &Entry, files: &Declared) -> Option<AcmeDns> {
    let map = cx.keep(collections::map(field).map_err(|problem| problem.hint(DNS_EXAMPLE)))?;
    let mut provider = None;
    let mut dns = AcmeDns {
        provider: String::new(),
        environment: IndexMap::new(),
        secrets: Vec::new(),
        resolvers: Vec::new(),
        propagation_check: true,
    };
    for part in map.entries.iter().filter(|part| !part.value.is_null()) {
        match part.key.as_str() {
            "provider" => cx.set_some(&mut provider, self::provider(part)),
            "environment" => cx.set(&mut dns.environment, environment(part)),
            "secrets" => {
                for secret in cx.keep(collections::map(part)).map_or(&[][..], |map| &map.entries) {
                    let read = variable(secret)
                        .and_then(|()| secret.text())
                        .and_then(|source| file(cx, files, &secret.key, &source, secret));
                    dns.secrets.extend(cx.keep(read).flatten());
                }
            }
            "resolvers" => cx.set(&mut dns.resolvers, collections::texts(part)),
            "propagation_check" => cx.set(&mut dns.propagation_check, boolean("propagation_check", &part.value)),
            _ => refuse::ACME_DNS.judge(cx, part),
        }
    }
    if map.get("provider").is_none() {
        cx.refuse(Problem::at(field.key_span, "`dns` has no `provider`").hint(DNS_EXAMPLE));
    }
    Some(AcmeDns { provider: provider?, ..dns })
}

fn provider(field: &Entry) -> Read<String> {
    let text = field.text()?;
    // `exec` and `manual` would need a program or somebody in the container.
    let is_fine = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) && !text.is_empty();
    if is_fine && !matches!(text.as_str(), "exec" | "manual") {
        return Ok(text);
    }
    Err(field.expected("one of lego's DNS providers, such as `cloudflare`, `route53` or `httpreq`").hint(DNS_EXAMPLE))
}

fn environment(field: &Entry) -> Read<IndexMap<String, String>> {
    let map = collections::map(field)?;
    let mut found = IndexMap::new();
    for entry in &map.entries {
        variable(entry)?;
        found.insert(entry.key.clone(), raw(&entry.key, &entry.value)?.to_owned());
    }
    Ok(found)
}

fn variable(entry: &Entry) -> Read<()> {
    let is_fine = entry.key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        && entry.key.starts_with(|c: char| c.is_ascii_uppercase());
    if is_fine && !entry.key.starts_with("ACME_") {
        return Ok(());
    }
    let message = format!("`{}` is not a variable of a DNS provider", clip(&entry.key));
    Err(Problem::at(entry.key_span, message).hint("they are capital letters, such as `CF_DNS_API_TOKEN`"))
}
