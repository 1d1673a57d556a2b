//! The proxy compared with plain nginx: same build, workers, replicas and load by wrk. Once with the access log in a
//! file, as in the proxy, and once on stdout, as in nginx's own image.

use serde_json::{Value, json};

use crate::host::{Host, services};
use crate::samples::Samples;
use crate::standing::{self, RUN_NGINX};
use crate::table::{Row, Unit};
use crate::{Bench, Result, wrk};

#[derive(Debug, Default)]
struct Side {
    rate: Samples,
    p99: Samples,
}

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "throughput", services([("web", nginx_app(bench))])).await?;
    let record = host.known("web").await?.record.ok_or("the app has no record")?;
    let replicas: Vec<_> = record.peers.iter().map(|peer| (peer.address, 8080).into()).collect();
    let as_image = include_str!("conf/plain.conf");
    let alike = as_image.replace("/dev/stdout json buffer=4k", "/tmp/access.log json buffer=32k");
    let mut targets = vec![format!("http://{}:80/", host.name.container())];
    for (part, conf) in [("plain", alike.as_str()), ("image", as_image)] {
        let name = standing::nginx(&host, &bench.images.proxy, part, conf, &replicas).await?;
        targets.push(format!("http://{name}:8080/"));
    }

    let seconds = if bench.quick { 2 } else { 3 };
    let mut sides = [Side::default(), Side::default(), Side::default()];
    // The first run of each fills caches and pools, and is not counted.
    for round in 0..=bench.rounds(9, 3) {
        for (side, target) in sides.iter_mut().zip(&targets) {
            let said = wrk::run(bench, host.name.as_str(), &host.name.network(), target, seconds).await?;
            if round > 0 {
                side.rate.push(said.rate);
                side.p99.push(said.p99_ms);
            }
        }
    }
    let [ours, alike, as_image] = sides;
    for (plain, what) in [(&alike, "that logs as it does"), (&as_image, "that logs to stdout, as its image does")] {
        let ratio = |ours: &Samples, plain: &Samples| ours.zip(plain, |ours, plain| ours / plain);
        let (rate, p99) = (ratio(&ours.rate, &plain.rate), ratio(&ours.p99, &plain.p99));
        Row::median(format!("throughput ÷ plain nginx {what}"), Unit::Times, &rate).at_least(0.9).print();
        Row::median("the proxy", Unit::PerSecond, &ours.rate).print();
        Row::median("plain nginx", Unit::PerSecond, &plain.rate).print();
        Row::median(format!("p99 ÷ plain nginx {what}"), Unit::Times, &p99).at_most(1.1).print();
        Row::median("the proxy", Unit::Milliseconds, &ours.p99).print();
        Row::median("plain nginx", Unit::Milliseconds, &plain.p99).print();
    }
    Ok(())
}

fn nginx_app(bench: &Bench) -> Value {
    let conf = standing::complete(include_str!("conf/app.conf"));
    // Compose interpolates `$`; `$$` is its escape.
    let escaped = |text: &str| text.replace('$', "$$");
    json!({
        "image": bench.images.proxy,
        "pull_policy": "never",
        "entrypoint": ["sh", "-c", escaped(RUN_NGINX)],
        "environment": { "CONF": escaped(&conf) },
        "healthcheck": { "disable": true },
        "deploy": { "replicas": 2 },
        "x-deploy-apps": { "port": 8080 },
    })
}
