//! `tls` of a route: what is read, and what is wrong with a certificate before anything is deployed.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::Case;
use crate::model::RouteTls;

struct Made {
    pem: String,
    key: String,
}

fn made(names: &[&str], from: i32, until: i32) -> Made {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().unwrap();
    Made { pem: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn case(route: &str, one: &Made) -> Case {
    let text = format!(
        "services:\n  web:\n    image: web:1\n    x-deploy-apps:\n      port: 80\n      routes:\n        - {route}\n\
         x-deploy-apps: {{ proxy: {{ https_port: 443 }} }}\nsecrets: {{ pair: {{ file: ./key.pem }} }}\n"
    );
    Case::new(&text).file("cert.pem", &one.pem).file("key.pem", &one.key)
}

const OWN: &str = "{ host: shop.example, tls: { certificate: ./cert.pem, key: ./key.pem } }";

#[test]
fn a_certificate_is_read_for_its_host() {
    let one = made(&["shop.example", "*.shop.example"], 2020, 2090);
    let project = case(OWN, &one).project();
    assert_eq!(project.proxy.https_port, Some(443));
    assert_eq!(project.apps[0].routes[0].tls, Some(RouteTls { redirect: true, hsts: None }));
    let read = &project.certificates["shop.example"];
    assert_eq!((read.id.len(), read.not_after.to_string().as_str()), (64, "2090-01-01T00:00:00Z"));
    assert_eq!(read.key.reveal(), one.key);
    let shown = format!("{project:?}{}", serde_json::to_string(&project).unwrap());
    assert!(!shown.contains("PRIVATE KEY"), "the key is shown: {shown}");
    assert_eq!(project.urls(&project.apps[0].service.name, "localhost"), ["https://shop.example"]);

    let wild = "{ host: \"*.shop.example\", tls: { certificate: cert.pem, key: pair, redirect: false, hsts: 180d } }";
    let project = case(wild, &one).project();
    assert_eq!(project.apps[0].routes[0].tls, Some(RouteTls { redirect: false, hsts: Some(15_552_000) }));
    assert!(project.certificates.contains_key("*.shop.example"));
    let off = case("{ host: shop.example, tls: off }", &one).project();
    assert_eq!((off.apps[0].routes[0].tls.clone(), off.certificates.len()), (None, 0));
}

#[test]
fn what_cannot_be_served_is_refused_where_it_stands() {
    let good = made(&["shop.example"], 2020, 2090);
    let other = made(&["a.example", "b.example"], 2020, 2090);
    let at = "7:53: certificate `./cert.pem` of `shop.example`";
    let own = "name the certificate of this host, or the route's host as the certificate has it";
    case(OWN, &other).refuses(&format!("{at} is for `a.example` and `b.example`"), own);
    // A star stands for one label.
    case(OWN, &made(&["*.b.shop.example", "*.example.com"], 2020, 2090))
        .refuses(&format!("{at} is for `*.b.shop.example` and `*.example.com`"), own);
    case(OWN, &made(&["shop.example"], 2020, 2021))
        .refuses(&format!("{at} has expired on 2021-01-01"), "get a new one from your CA");
    case(OWN, &made(&["shop.example"], 2080, 2090)).refuses(
        &format!("{at} is not valid before 2080-01-01T00:00:00Z"),
        "`date` says whether this machine's clock is right",
    );
    let pem = "it begins with `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` turns DER into PEM";
    case(OWN, &Made { pem: "nothing".to_owned(), key: String::new() })
        .refuses(&format!("{at} holds no certificate in PEM"), pem);
    case(OWN, &Made { pem: good.pem.replace('M', "!"), key: String::new() })
        .refuses(&format!("{at} cannot be read as PEM"), pem);

    let at = "7:70: key `./key.pem` of `shop.example`";
    case(OWN, &Made { pem: good.pem.clone(), key: other.key }).refuses(
        &format!("{at} is not the key of the certificate"),
        "the host's own certificate must come first in its file; else the two belong to different requests",
    );
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned();
    case(OWN, &Made { pem: good.pem.clone(), key: locked }).refuses(
        &format!("{at} has a passphrase, which nobody is there to type when the proxy starts"),
        "`openssl pkey -in FILE -out PLAIN` takes the passphrase away; then `chmod 600 PLAIN`",
    );
    case(OWN, &Made { pem: good.pem.clone(), key: good.pem.clone() })
        .refuses(&format!("{at} holds no private key in PEM"), "it begins with `-----BEGIN PRIVATE KEY-----`");
    let missing = case("{ host: shop.example, tls: { certificate: ./cert.pem, key: ./none.key } }", &good);
    let path = missing.path("none.key");
    missing.refuses(
        &format!("7:70: file `{path}` does not exist"),
        &format!("write it there: `install -m 600 /dev/stdin {path}`"),
    );
}

#[test]
fn what_is_half_said_is_refused() {
    let one = made(&["shop.example"], 2020, 2090);
    let example = "write such as `tls: auto`, or `tls: { certificate: ./shop.pem, key: ./shop.key }`";
    case("{ host: shop.example, tls: { certificate: ./cert.pem } }", &one)
        .refuses("7:53: `tls` has a `certificate` but no `key`", example);
    case("{ host: shop.example, tls: { hsts: 1d } }", &one)
        .refuses("7:33: `tls` has neither `certificate` nor `key`", example);
    case("{ host: shop.example, tls: maybe }", &one)
        .refuses("7:38: `tls` must be `auto`, `off`, or a map of `certificate` and `key`, not `maybe`", example);
    case("{ path: /a, tls: { certificate: ./cert.pem, key: ./key.pem } }", &one).refuses(
        "7:23: a route with `tls` needs a `host`, which its certificate is for",
        "add the `host`; a route of any host is reached over HTTPS by every host that has a certificate",
    );
    case("{ host: shop.example, tls: { certificate: ./cert.pem, kee: ./key.pem } }", &one)
        .refuses("7:65: unknown key `kee` in `tls`", "did you mean `key`?");
    let text =
        format!("services:\n  web:\n    image: web:1\n    x-deploy-apps:\n      port: 80\n      routes: [{OWN}]\n");
    Case::new(&text).file("cert.pem", &one.pem).file("key.pem", &one.key).refuses(
        "6:16: route `shop.example/` has `tls`, but the proxy listens for no HTTPS",
        "add `https_port: 443` to `x-deploy-apps: { proxy: … }` at the top of the file",
    );
    let text = "services:\n  web:\n    image: web:1\nx-deploy-apps: { proxy: { http_port: 80, https_port: 80 } }\n";
    Case::new(text)
        .refuses("4:54: `https_port` is 80, and so is `http_port`", "a port has one of the two, usually 80 and 443");
}

#[test]
fn two_certificates_for_one_host_are_refused() {
    let (one, other) = (made(&["shop.example"], 2020, 2090), made(&["shop.example"], 2020, 2091));
    let routes =
        format!("{OWN}\n        - {{ host: shop.example, path: /b, tls: {{ certificate: b.pem, key: b.key }} }}");
    case(&routes, &one).file("b.pem", &other.pem).file("b.key", &other.key).refuses(
        "8:11: `shop.example` has another certificate in line 7",
        "name the same files at each route of a host, or `auto` at each",
    );
}

#[test]
fn one_that_expires_soon_is_warned_of() {
    let now = jiff::Timestamp::now();
    let until = crate::model::day(now + jiff::SignedDuration::from_hours(24 * 5));
    let mut parts = until.split('-').map(|part| part.parse::<i32>().unwrap());
    let (year, month, day) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, u8::try_from(month).unwrap(), u8::try_from(day).unwrap());
    let key = KeyPair::generate().unwrap();
    let one = Made { pem: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() };
    let warnings = case(OWN, &one).warnings();
    assert_eq!(warnings.len(), 1);
    let text = format!("certificate `./cert.pem` of `shop.example` expires on {until}, in 4 days");
    assert!(warnings[0].contains(&text), "{warnings:?}");
}

/// A route with a certificate by ACME, and the keys of the proxy.
fn automatic(route: &str, proxy: &str) -> Case {
    let text = format!(
        "services:\n  web:\n    image: web:1\n    x-deploy-apps:\n      port: 80\n      routes:\n        - {route}\n\
         x-deploy-apps: {{ proxy: {{ https_port: 443{proxy} }} }}\nsecrets: {{ token: {{ file: ./token }} }}\n"
    );
    Case::new(&text).file("token", "t0ken").file("root.pem", "ROOT")
}

const AUTO: &str = "{ host: shop.example, tls: auto }";
const ACCOUNT: &str = ", acme: { email: ops@shop.example }";

#[test]
fn a_certificate_by_acme_needs_an_account_alone() {
    let project = automatic(AUTO, ACCOUNT).project();
    assert_eq!(project.apps[0].routes[0].tls, Some(RouteTls { redirect: true, hsts: None }));
    assert!(project.automatic.contains("shop.example") && project.certificates.is_empty());
    let acme = project.proxy.acme.expect("an account");
    assert_eq!((acme.email.as_str(), acme.place()), ("ops@shop.example", "acme-v02.api.letsencrypt.org"));
    let long = "{ host: shop.example, tls: { certificate: auto, hsts: 30d, redirect: false } }";
    let project = automatic(long, ACCOUNT).project();
    assert_eq!(project.apps[0].routes[0].tls, Some(RouteTls { redirect: false, hsts: Some(2_592_000) }));
    assert!(project.automatic.contains("shop.example"));
}

#[test]
fn dns_has_its_provider_and_its_secrets_are_shown_nowhere() {
    let keys = ", acme: { email: a@b.example, server: \"https://ca.lan/dir\", ca: root.pem, dns: { provider: httpreq, environment: \
                { HTTPREQ_MODE: RAW }, secrets: { HTTPREQ_PASSWORD: token }, resolvers: [\"10.0.0.1:53\"], propagation_check: false } }";
    let project = automatic("{ host: \"*.shop.lan\", tls: auto }", keys).project();
    let acme = project.proxy.acme.clone().expect("an account");
    let dns = acme.dns.expect("DNS");
    assert_eq!((dns.provider.as_str(), dns.propagation_check, dns.resolvers.len()), ("httpreq", false, 1));
    assert_eq!(
        (dns.secrets[0].name.as_str(), dns.secrets[0].content.bytes()),
        ("HTTPREQ_PASSWORD", Some(&b"t0ken"[..]))
    );
    assert_eq!(acme.ca.expect("a root").content.bytes(), Some(&b"ROOT"[..]));
    let shown = format!("{project:?}{}", serde_json::to_string(&project).unwrap());
    assert!(!shown.contains("t0ken"), "the secret is shown: {shown}");
}

#[test]
fn what_no_ca_would_give_is_refused_where_it_stands() {
    let account = "add `acme: { email: ops@shop.example }` to `x-deploy-apps: { proxy: … }` at the top of the file: with it you agree \
                   to the terms of Let's Encrypt";
    let text = "7:11: route `shop.example/` has `tls: auto`, but the proxy has no account at a CA";
    automatic(AUTO, "").refuses(text, account);
    automatic("{ host: \"*.shop.example\", tls: auto }", ACCOUNT).refuses(
        "7:11: a certificate for the wildcard `*.shop.example` is given only by way of DNS",
        "add `dns: { provider: …, secrets: … }` to `acme`, or name the hosts",
    );
    for host in ["web.localhost", "shop.lan", "shop", "10.0.0.1"] {
        automatic(&format!("{{ host: {host}, tls: auto }}"), ACCOUNT).refuses(
            &format!("7:11: `{host}` is no public name, and Let's Encrypt gives no certificate for it"),
            "use a domain of your own; a CA of your own is named by `acme.server`, certificates of your own by files",
        );
    }
    let example = "write such as `acme: { email: ops@shop.example }`: with it you agree to the terms of the CA";
    automatic(AUTO, ", acme: { server: \"https://ca.lan/dir\" }").refuses("8:44: `acme` has no `email`", example);
    automatic(AUTO, ", acme: { email: ops }")
        .refuses("8:59: `email` must be an address such as `ops@shop.example`, not `ops`", example);
    automatic("{ host: shop.example, tls: { certificate: auto, key: token } }", ACCOUNT)
        .refuses("7:64: `certificate: auto` has no `key`: it is made with the certificate", "remove `key`");
}
