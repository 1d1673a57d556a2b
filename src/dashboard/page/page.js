// Receives the observations, once a second, and shows them.
import { chart, view } from "./chart.js";
import { ago, clock, colour, count, duration, el, fill, moment, nameOf, open, openShort, percent, plural, rate, swatch } from "./parts.js";

const KEPT_MS = 180000;
const at = (id) => document.getElementById(id);

let latest = null;
let flow = [];
// Flips observed live; the history has them only after their deploy has ended.
const seenFlips = new Map();
const servedBefore = new Map();

const STATES = {
  serving: ["✓", "serving", "good"],
  degraded: ["!", "degraded", "warn"],
  down: ["✕", "down", "bad"],
  holding: ["⏸", "requests wait", "warn"],
  at_rest: ["–", "scaled to zero", ""],
  stopped: ["–", "stopped", ""],
  not_deployed: ["–", "not deployed", ""],
  unknown: ["?", "not known", "warn"],
};

const OUTCOMES = {
  completed: ["✓", "good"],
  completed_with_leftovers: ["✓", "warn"],
  up_to_date: ["✓", "good"],
  unstable: ["✕", "bad"],
  rolled_back: ["↩", "bad"],
  running: ["…", "busy"],
  stuck: ["✕", "bad"],
};

const mark = (icon, words, kind) => el("span", { class: `mark ${kind}` }, el("span", { "aria-hidden": "true" }, icon), ` ${words}`);

function replicaState(replica) {
  const state = replica.state === "exited" ? `exited with ${replica.exit?.code}` : (replica.state ?? "missing");
  const health = replica.health && replica.health !== "healthy" && replica.state === "running" ? `, ${replica.health}` : "";
  const cut = replica.reachable ? "" : ", off the network";
  const words = `${state}${health}${cut || (replica.ejected ? ", left out" : "")}`;
  switch (replica.part) {
    case "starting": return mark("↑", `starting (${words})`, "busy");
    case "draining": return mark("↓", `draining (${words})`, "busy");
    case "leftover": return mark("!", `left over (${words})`, "warn");
    default: return replica.well ? mark("✓", words, "good") : mark("✕", words, "bad");
  }
}

function replicas(app, now) {
  if (app.containers.length === 0) {
    return el("p", { class: "muted" }, "No replica.");
  }
  return el("ul", { class: "replicas" }, app.containers.map((replica) => {
    const up = replica.started_at && replica.state === "running" ? `up ${duration(now - Date.parse(replica.started_at))}` : "";
    const restarts = replica.restarts > 0 ? plural(replica.restarts, "restart") : "";
    const name = replica.replica === null ? "release command" : `replica ${replica.replica}`;
    return el("li", { "data-key": replica.name, "data-part": replica.part, title: replica.name },
      el("span", {}, swatch(replica.release ?? 0), el("span", { class: "muted" }, ` ${name}`)),
      el("span", { class: "number" }, open(replica.in_flight)),
      replicaState(replica),
      el("span", { class: "muted number" }, [up, restarts].filter(Boolean).join(" · ")));
  }));
}

// The requests of the last minute by target and result.
function answers(app) {
  const releases = app.traffic?.releases.filter((counts) => counts.requests > 0) ?? [];
  if (releases.length === 0) {
    return el("p", { class: "muted" }, "No requests in the last minute.");
  }
  const most = Math.max(...releases.map((counts) => counts.requests));
  const row = ({ release, requests, errors }) =>
    el("tr", { "data-release": release },
      el("th", { scope: "row" }, swatch(release)),
      el("td", { class: "number" }, count(requests),
        el("progress", { class: colour(release), max: most, value: requests, "aria-hidden": "true" })),
      el("td", { class: `number ${errors > 0 ? "bad" : ""}` }, errors > 0 ? `✕ ${count(errors)} (${percent(errors, requests)})` : "0"));
  return el("table", { class: "answers" },
    el("caption", { class: "hidden" }, `Requests to ${app.app} in the last minute by release`),
    el("thead", {}, el("tr", {}, ["release", "requests, last minute", "errors"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, [...releases].sort((a, b) => b.release - a.release).map(row)));
}

function lease(app) {
  if (!app.lease) {
    return null;
  }
  const { purpose, owner, host, age_ms } = app.lease;
  return el("p", { class: "lease" }, el("span", { class: "dot", "aria-hidden": "true" }),
    el("span", {}, el("strong", {}, purpose), ` by ${owner} on ${host} · ${duration(age_ms)}`));
}

function flipsOf(app) {
  const found = new Map();
  for (const run of latest.history?.runs ?? []) {
    if (run.app === app && run.flipped_after_ms !== null) {
      found.set(run.release, { release: run.release, at: Date.parse(run.started_at) + run.flipped_after_ms });
    }
  }
  for (const [release, time] of seenFlips.get(app) ?? []) {
    found.set(release, { release, at: time });
  }
  return [...found.values()];
}

function card(app, now, width) {
  const [icon, word, kind] = STATES[app.state] ?? ["?", app.state, ""];
  const head = el("header", {},
    el("h3", { id: `app-${app.app}` }, app.app),
    mark(icon, word, kind),
    app.release !== null && el("span", {}, swatch(app.release), " ", el("span", { class: "version" }, app.version)),
    !app.in_compose_file && el("span", { class: "muted" }, "not in the compose file"),
    app.maintenance && el("span", { class: "muted" }, "in maintenance: requests get 503"),
    app.pause && el("span", { class: "muted" }, "paused: new requests wait"),
    lease(app));
  const isDeployed = app.release !== null || app.containers.length > 0;
  if (!isDeployed) {
    return el("article", { class: "card", "data-key": app.app, "data-app": app.app, "aria-labelledby": `app-${app.app}` }, head,
      el("p", { class: "muted" }, el("code", {}, `deploy-apps ${app.app}`), " deploys it."));
  }
  const seen = view(app.app, flow, now, width);
  const facts = [
    ["requests", `${rate(Object.values(flow.at(-1)?.apps[app.app] ?? {}).reduce((sum, pair) => sum + pair[0], 0))}/s`],
    ["open", openShort(app.in_flight)],
    ["p50 / p99", app.traffic?.p50_ms != null ? `${duration(app.traffic.p50_ms)} / ${duration(app.traffic.p99_ms)}` : "–"],
    ["replicas", app.replicas.wanted === null ? `${app.replicas.serving}` : `${app.replicas.serving} of ${app.replicas.wanted}${app.replicas.source === "scaled" ? " (scaled)" : ""}`],
  ];
  return el("article", { class: "card", "data-key": app.app, "data-app": app.app, "data-state": app.state,
    "data-deploying": app.lease !== null, "aria-labelledby": `app-${app.app}` }, head,
    el("div", { class: "columns" },
      el("div", { class: "traffic" },
        el("dl", { class: "facts" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
        chart(app.app, seen, app.release, flipsOf(app.app), soon)),
      el("div", {}, el("h4", {}, "Replicas"), replicas(app, now), el("h4", {}, "Answers by release"), answers(app))));
}

function summary(apps, now) {
  const deployed = apps.filter((app) => app.release !== null);
  const serving = deployed.filter((app) => ["serving", "at_rest", "stopped"].includes(app.state)).length;
  const point = flow.at(-1);
  const isFresh = point && now - point.at_ms < 5000;
  const sum = isFresh ? Object.values(point.apps).flatMap((rates) => Object.values(rates)).reduce((all, pair) => all + pair[0], 0) : null;
  const all = apps.reduce((total, app) => total + (app.traffic?.requests ?? 0), 0);
  const failed = apps.reduce((total, app) => total + (app.traffic?.errors ?? 0), 0);
  const flying = (kind) => apps.reduce((total, app) => total + app.in_flight[kind], 0);
  const busy = apps.filter((app) => app.lease !== null).map((app) => app.app);
  const tile = (name, value, note, kind = "") => el("div", { class: `tile ${kind}` }, el("dt", {}, name), el("dd", {}, value), el("dd", { class: "muted" }, note));
  return [
    tile("Requests", sum === null ? "–" : `${rate(sum)}/s`, `${count(all)} in the last minute`),
    tile("Open now", count(flying("requests")), plural(flying("websockets"), "WebSocket")),
    tile("Errors", percent(failed, all), `${count(failed)} in the last minute`, failed > 0 ? "bad" : ""),
    tile("Serving", `${serving} of ${deployed.length}`, plural(deployed.length, "app deployed", "apps deployed"), serving < deployed.length ? "warn" : ""),
    tile("Deploying", busy.length === 0 ? "nothing" : busy.length === 1 ? busy[0] : `${busy.length} apps`,
      busy.length === 0 ? "no lease is held" : plural(busy.length, "lease held", "leases held"), busy.length > 0 ? "busy" : ""),
  ];
}

function history(runs, isSilent, now) {
  if (!runs || runs.length === 0) {
    return el("p", { class: "card muted" }, isSilent ? "The proxy keeps the history, and it does not answer." : "Nothing has been deployed yet.");
  }
  const columns = ["when", "app", "what", "release", "version", "outcome", "took", "drained", "who", "commit"];
  const flying = (open) => [open?.requests > 0 && plural(open.requests, "request"), open?.websockets > 0 && plural(open.websockets, "WebSocket")].filter(Boolean).join(", ");
  const row = (run) => {
    const [icon, kind] = OUTCOMES[run.outcome] ?? ["!", "warn"];
    const cut = flying(run.cut);
    const cells = [
      el("time", { datetime: run.started_at, title: moment(run.started_at) }, ago(run.started_at, now)),
      run.app,
      run.purpose,
      [run.from !== null && run.from !== run.release && [swatch(run.from), " → "], swatch(run.release)],
      run.version ?? "",
      [mark(icon, run.outcome.replaceAll("_", " "), kind), run.serving && el("span", { class: "tag" }, "serves")],
      run.took_ms === null ? "" : duration(run.took_ms),
      [flying(run.drained), cut && el("span", { class: "bad" }, ` ✕ cut ${cut}`)],
      [run.owner, run.host].filter(Boolean).join(" on "),
      [run.commit?.slice(0, 8), run.branch].filter(Boolean).join(" "),
    ];
    return el("tr", { "data-key": `${run.app}-${run.started_at}`, "data-outcome": run.outcome },
      cells.map((cell, position) => el("td", { "data-name": columns[position] }, cell)));
  };
  return el("div", { class: "card scroll", tabindex: 0, role: "region", "aria-labelledby": "history-title" }, el("table", {},
    el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, runs.slice(0, 20).map(row))));
}

function notices(document) {
  const WORDS = { engine: "The engine does not answer.", proxy: "The proxy does not answer.", file: "The compose file cannot be read." };
  return document.trouble.map(({ what, message, hint }) => el("p", { class: "notice", "data-what": what },
    el("strong", {}, `⚠ ${WORDS[what] ?? ""}`), ` ${message}${hint ? ` · ${hint}` : ""} · trying again`));
}

function show() {
  const { status } = latest;
  document.body.classList.toggle("stale", status === null);
  fill(at("notices"), notices(latest));
  if (latest.project) {
    fill(at("project"), [latest.project]);
  }
  if (status === null) {
    return;
  }
  const now = Date.parse(latest.at);
  const { apps } = status;
  fill(at("engine"), [`engine ${status.engine.version} at ${status.engine.address} · proxy ${status.proxy.name}`,
    status.proxy.outdated && " · of another build: deploy-apps proxy upgrade"]);
  fill(at("summary"), summary(apps, now));
  const width = Math.max(280, document.querySelector(".chart")?.clientWidth ?? Math.min(720, at("apps").clientWidth - 32));
  const isEmpty = apps.every((app) => app.release === null && app.containers.length === 0);
  fill(at("apps"), [
    isEmpty && el("div", { class: "card empty", "data-key": "empty" }, el("p", {}, el("strong", {}, "Nothing is deployed yet.")),
      el("p", { class: "muted" }, apps.length === 0 ? "The compose file has no app either. " : "",
        el("code", {}, apps.length === 0 ? "deploy-apps init" : "deploy-apps --all"),
        apps.length === 0 ? " writes a first one." : " deploys every app; this page shows it as it happens.")),
    apps.map((app) => card(app, now, width)),
  ]);
  at("accessories-part").hidden = status.accessories.length === 0;
  fill(at("accessories"), status.accessories.map(({ service, state, health, restarts }) => {
    const isWell = state === "running" && (health ?? "healthy") === "healthy";
    const words = `${state ?? "missing"}${health && state === "running" ? `, ${health}` : ""}${restarts > 0 ? `, ${plural(restarts, "restart")}` : ""}`;
    return el("li", { "data-key": service }, el("strong", {}, service), " ", mark(isWell ? "✓" : state === null ? "–" : "!", words, isWell ? "good" : state === null ? "" : "warn"));
  }));
  fill(at("history"), [history(latest.history?.runs, status.proxy.state !== null && status.proxy.error !== null, now)]);
  const busy = apps.find((app) => app.lease !== null);
  const well = apps.filter((app) => app.state === "serving").length;
  document.title = `${busy ? `▶ ${busy.lease.purpose} ${busy.app}` : `${well} of ${apps.length} serving`} · ${latest.project}`;
}

let isDue = false;
function soon() {
  if (!isDue && latest) {
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      show();
    });
  }
}

function take(document) {
  latest = document;
  const newest = flow.at(-1)?.at_ms ?? 0;
  // A page that is shown again gets the whole chart.
  flow = (document.flow.length > 1 ? document.flow : [...flow, ...document.flow.filter((point) => point.at_ms > newest)])
    .filter((point) => point.at_ms > Date.parse(document.at) - KEPT_MS);
  for (const { app, release } of document.status?.apps ?? []) {
    const before = servedBefore.get(app);
    if (before !== undefined && before !== release && release !== null) {
      const flips = seenFlips.get(app) ?? new Map();
      seenFlips.set(app, flips.set(release, Date.parse(document.at)));
    }
    servedBefore.set(app, release);
  }
  show();
}

function connection(state, word) {
  at("connection").dataset.state = state;
  fill(at("connection").querySelector(".word"), [word]);
}

// A hidden page disconnects: browsers limit connections per host, and the engine should not be queried for nobody.
let source = null;
function follow() {
  source?.close();
  source = null;
  if (document.hidden) {
    return;
  }
  source = new EventSource("/api/events");
  source.addEventListener("state", (event) => {
    connection("live", "live");
    take(JSON.parse(event.data));
    fill(at("notices"), notices(latest));
  });
  source.addEventListener("error", () => {
    document.body.classList.add("stale");
    connection("lost", "connection lost");
    const since = latest ? ` What you see is from ${clock(Date.parse(latest.at))}.` : "";
    fill(at("notices"), [el("p", { class: "notice", "data-what": "dashboard" }, el("strong", {}, "⚠ The dashboard does not answer."),
      `${since} Trying again; `, el("code", {}, "deploy-apps dashboard"), " starts it.")]);
    // The browser stops retrying after some errors.
    if (source?.readyState === EventSource.CLOSED) {
      setTimeout(follow, 2000);
    }
  });
}

document.addEventListener("visibilitychange", follow);
window.addEventListener("resize", soon);
follow();
