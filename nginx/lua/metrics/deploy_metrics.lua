-- The metrics of deploys, and which versions serve.
local apps = require "state.apps"
local current = require "traffic.current"
local deploys = require "metrics.deploys"

local _M = {}

local function kinds()
    local found = { outcome = {}, took = {}, drained = {}, cut = {}, at = {} }
    deploys.each(apps.names(), function(kind, app, rest, value)
        table.insert(found[kind], { app = app, rest = rest, value = value })
    end)
    return found
end

local function labelled(sums, label, sample)
    local samples = {}
    for position, sum in ipairs(sums) do
        samples[position] = sample(sum.value, "app", sum.app, label, sum.rest)
    end
    return samples
end

local function durations(sums, sample)
    local samples = {}
    for position, sum in ipairs(sums) do
        samples[position] = "_" .. sum.rest .. sample(sum.value, "app", sum.app)
    end
    return samples
end

local function releases(sample)
    local samples, seen = {}, {}
    current.has_moved()
    for _, name in ipairs(apps.names()) do
        local app = current.app(name)
        for _, peer in ipairs(app and app.peers or {}) do
            local key = name .. "|" .. peer.release
            if not seen[key] then
                seen[key] = true
                samples[#samples + 1] = sample(1, "app", name, "release", peer.release, "version", peer.version)
            end
        end
    end
    return samples
end

-- `family` and `sample` are exposition.lua's.
function _M.write(out, family, sample)
    local sums = kinds()
    family(out, "deploys_total", "counter", "Deploys, rollbacks, scalings and removals by how they ended.",
        labelled(sums.outcome, "outcome", sample))
    family(out, "last_deploy_timestamp_seconds", "gauge", "Unix time when one last ended so.",
        labelled(sums.at, "outcome", sample))
    family(out, "deploy_duration_seconds", "summary", "How long they took.", durations(sums.took, sample))
    family(out, "deploy_drained_total", "counter", "What was open on outgoing replicas when they were flipped out.",
        labelled(sums.drained, "kind", sample))
    family(out, "deploy_cut_total", "counter", "What of it the drain limit ended.", labelled(sums.cut, "kind", sample))
    family(out, "release_info", "gauge", "The releases that serve.", releases(sample))
end

return _M
