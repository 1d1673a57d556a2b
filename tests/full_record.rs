//! A record in which nothing has its default. It has no `..`, so that it does not compile without a new field.

use std::net::Ipv4Addr;

use deploy_apps::model::{AppRecord, Balance, Peer, Redirect, ReleaseNumber, Route, RouteTls, Scale, Settings};

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
        },
        hold_ms: 1234,
        scale: Some(Scale { replicas: 4, file: Some(2) }),
        peers: vec![Peer {
            id: "t-full-r7-1".to_owned(),
            address: Ipv4Addr::new(10, 213, 4, 7),
            port: Some(8080),
            release: ReleaseNumber(7),
            replica: 1,
            version: "1.0.0+7".to_owned(),
        }],
    }
}
