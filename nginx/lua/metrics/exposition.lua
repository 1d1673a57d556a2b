-- The metrics in Prometheus' text format.
local about = require "about"
local apps = require "state.apps"
local certificates = require "tls.table"
local json = require "json"
local buckets = require "metrics.buckets"
local inflight = require "traffic.inflight"
local instance = require "handover.instance"
local retirees = require "handover.retirees"
local tally = require "metrics.counters"
local deploy_metrics = require "metrics.deploy_metrics"
local standing = require "metrics.standing"
local workers = require "workers"

local dict = ngx.shared.metrics

local _M = {}

local function escape(value)
    return (tostring(value):gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

local function labels(...)
    local pairs_given, texts = { ... }, {}
    for position = 1, #pairs_given, 2 do
        texts[#texts + 1] = ('%s="%s"'):format(pairs_given[position], escape(pairs_given[position + 1]))
    end
    return #texts > 0 and "{" .. table.concat(texts, ",") .. "}" or ""
end

local function family(out, name, kind, help, samples)
    out[#out + 1] = ("# HELP deploy_apps_%s %s\n# TYPE deploy_apps_%s %s\n"):format(name, help, name, kind)
    table.sort(samples)
    for _, sample in ipairs(samples) do
        out[#out + 1] = ("deploy_apps_%s%s\n"):format(name, sample)
    end
end

local function sample(value, ...)
    return labels(...) .. (" %.14g"):format(value)
end

-- Shared counters by kind: { app, rest, value } each.
local function read_counters()
    local found = {}
    for _, key in ipairs(dict:get_keys(0)) do
        local kind, app, rest = key:match("^(%l+)|([^|]+)|?(.*)$")
        local value = kind and dict:get(key)
        if value then
            found[kind] = found[kind] or {}
            table.insert(found[kind], { app = app, rest = rest, value = value })
        end
    end
    return found
end

local function requests(out, counters)
    local samples = {}
    for _, counter in ipairs(counters or {}) do
        local release, class = counter.rest:match("^(%d+)|(%d)$")
        samples[#samples + 1] = sample(counter.value, "app", counter.app, "release", release,
            "status", class == "0" and "none" or class .. "xx")
    end
    family(out, "requests_total", "counter", "Requests by app, release (0: no replica was reached) and status class.",
        samples)
end

-- By app and release: the position of each value → the value; and the keys in their order.
local function by_release(counters)
    local found, keys = {}, {}
    for _, counter in ipairs(counters or {}) do
        local release, position = counter.rest:match("^(%d+)|?(%d*)$")
        local key = labels("app", counter.app, "release", release):sub(2, -2)
        if not found[key] then
            found[key] = {}
            keys[#keys + 1] = key
        end
        found[key][tonumber(position) or 1] = counter.value
    end
    table.sort(keys)
    return found, keys
end

-- Buckets are counted one by one and added up here: a request touches one counter only.
local function durations(out, counters, sums)
    local counts, keys = by_release(counters)
    local sum = by_release(sums)
    local name = "deploy_apps_request_duration_seconds"
    out[#out + 1] = "# HELP " .. name .. " Time from a request's first byte to its end, without WebSockets.\n"
    out[#out + 1] = "# TYPE " .. name .. " histogram\n"
    for _, key in ipairs(keys) do
        local total = 0
        for position = 1, #buckets.BOUNDS + 1 do
            total = total + (counts[key][position] or 0)
            local bound = buckets.BOUNDS[position] or "+Inf"
            out[#out + 1] = ('%s_bucket{%s,le="%s"} %d\n'):format(name, key, bound, total)
        end
        out[#out + 1] = ("%s_sum{%s} %.14g\n"):format(name, key, (sum[key] or { 0 })[1])
        out[#out + 1] = ("%s_count{%s} %d\n"):format(name, key, total)
    end
end

local function counted(out, name, help, counters)
    local samples = {}
    for _, counter in ipairs(counters or {}) do
        samples[#samples + 1] = sample(counter.value, "app", counter.app)
    end
    family(out, name, "counter", help, samples)
end

local function open_now(out)
    local sums = { requests = {}, websockets = {} }
    for _, peer in pairs(retirees.with(inflight.all())) do
        local key = labels("app", peer.app or "", "release", peer.release or "")
        sums.requests[key] = (sums.requests[key] or 0) + peer.requests
        sums.websockets[key] = (sums.websockets[key] or 0) + peer.websockets
    end
    local helps = { requests = "Requests that are open at a replica now.",
        websockets = "WebSockets that are open at a replica now." }
    for _, kind in ipairs({ "requests", "websockets" }) do
        local samples = {}
        for key, value in pairs(sums[kind]) do
            samples[#samples + 1] = key .. " " .. value
        end
        family(out, "in_flight_" .. kind, "gauge", helps[kind], samples)
    end
end

local function replicas(out)
    local all, unreachable = {}, {}
    standing.each_release(function(app, release, count, missing)
        all[#all + 1] = sample(count, "app", app, "release", release)
        unreachable[#unreachable + 1] = sample(missing, "app", app, "release", release)
    end)
    family(out, "replicas", "gauge", "Replicas that should get requests.", all)
    family(out, "unreachable_replicas", "gauge", "Of these, the ones left out because they cannot be reached.",
        unreachable)
end

-- What cannot be used counts as expired for ever: an alert on the time tells of it too.
local function expiries(out)
    local samples, failures = {}, {}
    for _, text in ipairs(certificates.texts()) do
        local one = json.decode(text)
        samples[#samples + 1] = sample(math.floor((one.not_after or 0) / 1000), "host", one.host)
        if one.source == "acme" then
            failures[#failures + 1] = sample(one.renewal and one.renewal.failures or 0, "host", one.host)
        end
    end
    family(out, "certificate_expiry_timestamp_seconds", "gauge",
        "Unix time until when a host's certificate is valid; 0 when it cannot be used.", samples)
    family(out, "certificate_renewal_failures", "gauge",
        "Times in a row that a host's certificate could not be renewed.", failures)
end

function _M.text()
    tally.flush()
    local counters, out = read_counters(), {}
    requests(out, counters.requests)
    durations(out, counters.bucket, counters.sum)
    open_now(out)
    replicas(out)
    expiries(out)
    deploy_metrics.write(out, family, sample)
    counted(out, "retries_total", "Tries of a request at a further replica.", counters.retries)
    counted(out, "ejections_total", "Times a replica was left out for a while because it could not be reached.",
        counters.ejections)
    counted(out, "held_requests_total", "Requests that waited because the app had no replica.", counters.held)
    family(out, "unrouted_requests_total", "counter", "Requests that belong to no app.",
        { sample(dict:get(tally.UNROUTED) or 0) })
    family(out, "flips_total", "counter", "Acknowledged flips since the proxy started.",
        { sample(dict:get("flips") or 0) })
    family(out, "generation", "gauge", "Generation of the table of routes and replicas.",
        { sample(apps.table_generation()) })
    family(out, "workers", "gauge", "Live nginx workers.", { sample(#workers.live()) })
    local build = about.get()
    family(out, "start_time_seconds", "gauge", "Unix time when the proxy started.",
        { sample(build.started_at / 1000) })
    family(out, "build_info", "gauge", "What this proxy is.",
        { sample(1, "build", build.build, "nginx", build.nginx, "api", build.api) })
    return table.concat(out)
end

function _M.serve()
    if not instance.is_serving() and instance.phase() ~= "frozen" then
        -- Over a connection from before; the figures are those of the one that serves.
        return ngx.exec("@serving")
    end
    ngx.header["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
    ngx.print(_M.text())
end

return _M
