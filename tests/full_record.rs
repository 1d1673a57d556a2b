//! A record in which nothing has its default. It has no `..`, so that it does not compile without a new field.

use std::net::Ipv4Addr;

use deploy_apps::model::{
    AppRecord, AuthUser, Balance, BasicAuth, Canary, ClientAccess, ErrorPage, HeaderField, Maintenance, Page, Pause,
    Peer, RateLimit, Redirect, ReleaseNumber, ResponseHeaders, Route, RouteTls, Scale, Settings, Share, Sticky,
    Testers, Timeouts,
};

pub fn full_record() -> AppRecord {
    let tls = Some(RouteTls { redirect: true, hsts: Some(15_552_000) });
    AppRecord {
        project: "t".parse().expect("a name"),
        app: "full".parse().expect("a name"),
        release: ReleaseNumber(7),
        version: "1.0.0+7".to_owned(),
        routes: vec![
            Route { host: Some("*.full.test".to_owned()), path: "/a".to_owned(), strip: true, tls },
            Route { host: None, path: "/full".to_owned(), strip: false, tls: None },
        ],
        settings: Settings {
            balance: Balance::RoundRobin,
            metrics: Some("/metrics?all".to_owned()),
            redirects: vec![
                Redirect {
                    host: Some("www.full.test".to_owned()),
                    path: "/".to_owned(),
                    to: "https://full.test:8443/a".to_owned(),
                    status: 308,
                },
                Redirect { host: None, path: "/old".to_owned(), to: "/new".to_owned(), status: 301 },
            ],
            response_headers: ResponseHeaders {
                set: vec![HeaderField { name: "X-Frame-Options".to_owned(), value: "DENY".to_owned() }],
                remove: vec!["X-Powered-By".to_owned()],
            },
            access: ClientAccess { allow: vec!["10.0.0.0/8".to_owned()], deny: vec!["2001:db8::7/128".to_owned()] },
            max_body_size: Some(1 << 40),
            timeouts: Timeouts { read_ms: Some(30_000), send_ms: None },
            basic_auth: Some(BasicAuth::new(
                "Staging".to_owned(),
                true,
                vec![AuthUser {
                    name: "ann".to_owned(),
                    hash: "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW".to_owned(),
                }],
            )),
            error_pages: vec![ErrorPage {
                status: 502,
                page: Page { kind: "application/json".to_owned(), body: "{}".to_owned() },
            }],
            rate_limit: Some(RateLimit { requests: 100, per_ms: 60_000, burst: 20 }),
        },
        hold_ms: 1234,
        canary: Some(Canary {
            release: ReleaseNumber(8),
            weight: Share::of_percent(5),
            sticky: Sticky::Client,
            testers: Some(Testers { header: Some("X-Canary".to_owned()), cookie: None, value: "yes".to_owned() }),
        }),
        scale: Some(Scale { replicas: 4, file: Some(2) }),
        maintenance: Some(Maintenance {
            since_ms: 1_795_177_451_200,
            by: "ann on laptop".to_owned(),
            retry_after_s: 60,
            allow: vec!["203.0.113.7/32".to_owned()],
            page: Some(Page {
                kind: "text/html; charset=utf-8".to_owned(),
                body: "<p>Back \"soon\" \u{1F527}\n".to_owned(),
            }),
        }),
        pause: Some(Pause { until_ms: 1_795_177_481_200, for_ms: 30_000, by: "ann on laptop".to_owned() }),
        peers: [7, 8].map(peer).into(),
    }
}

fn peer(release: u8) -> Peer {
    Peer {
        id: format!("t-full-r{release}-1"),
        address: Ipv4Addr::new(10, 213, 4, release),
        port: Some(8080),
        release: ReleaseNumber(release.into()),
        replica: 1,
        version: format!("1.0.0+{release}"),
    }
}
