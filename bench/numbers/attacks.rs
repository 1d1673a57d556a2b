//! The cost of malicious requests: how long one request blocks a worker's event loop, and the memory that remains.

#[path = "../../tests/lua/attacks/list.rs"]
mod list;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::host::{Host, app, docker, services};
use crate::samples::Samples;
use crate::table::{Row, Unit};
use crate::{Bench, Result};

/// Requests of each kind per round; the round's value is their mean.
const REQUESTS: u32 = 20;
/// CPU time of all workers in nanoseconds, and their memory in kilobytes.
const SPENT: &str = "for w in $(cat /proc/1/task/1/children); do cut -d' ' -f1 /proc/$w/schedstat; \
    awk '/^VmRSS:/{print $2}' /proc/$w/status; done | awk 'NR % 2 {t += $1; next} {m += $1} END {print t, m}'";

pub async fn measure(bench: &Bench) -> Result {
    let host = Host::start(bench, "attacks", services([("web", attacked(bench))])).await?;
    let address = host.proxy_address().await?;
    let attacks = list::attacks();
    let mut costs: Vec<Samples> = attacks.iter().map(|_| Samples::default()).collect();
    let mut grown = vec![0.0_f64; attacks.len()];
    // The first round includes compilation and fills caches.
    for round in 0..=bench.rounds(7, 3) {
        for (index, (_, request)) in attacks.iter().enumerate() {
            let (before, had) = spent(&host).await?;
            for _ in 0..REQUESTS {
                send(address, request).await?;
            }
            let (after, has) = spent(&host).await?;
            if round > 0 {
                costs[index].push((after - before) / 1e6 / f64::from(REQUESTS));
                grown[index] += has - had;
            }
        }
    }
    let all = attacks.iter().zip(&costs).zip(&grown);
    let (worst, _) =
        all.clone().max_by(|one, other| one.0.1.median().total_cmp(&other.0.1.median())).ok_or("no attack")?;
    Row::median("one request holds a worker's event loop, at worst", Unit::Milliseconds, worst.1).at_most(2.0).print();
    for (((what, _), cost), grown) in all {
        let what = if *grown < 1.0 { (*what).to_owned() } else { format!("{what} (+{grown:.0} KB)") };
        Row::median(what, Unit::Milliseconds, cost).print();
    }
    Ok(())
}

fn attacked(bench: &Bench) -> Value {
    let route = |host: &str, path: &str, strip: bool| json!({ "host": host, "path": path, "strip": strip });
    let mut routes: Vec<Value> = list::deep_paths().map(|path| route("many.test", &path, false)).collect();
    routes.push(route("many.test", "/", false));
    routes.push(route("app.test", "/", false));
    routes.push(route("strip.test", "/p", true));
    routes.push(route(&list::wild_host(), "/", false));
    let mut service = app(bench, 1);
    service["x-deploy-apps"]["routes"] = routes.into();
    service
}

async fn spent(host: &Host) -> Result<(f64, f64)> {
    let said = docker(&["exec", &host.name.container(), "sh", "-c", SPENT]).await?;
    let (time, memory) = said.split_once(' ').ok_or_else(|| format!("`{said}` is not what the workers have spent"))?;
    Ok((time.parse()?, memory.parse()?))
}

/// The proxy may refuse early and close the connection while data is still being sent.
async fn send(address: SocketAddr, request: &str) -> Result {
    let mut stream = TcpStream::connect(address).await?;
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Ok(())
}
