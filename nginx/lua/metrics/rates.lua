-- What the apps were asked lately: sums over slots of a few seconds, each forgotten after a minute. The counters of
-- counters.lua need two looks with time between them for a rate; this needs one.
local about = require "about"
local buckets = require "metrics.buckets"
local json = require "json"

local dict = ngx.shared.rates

local _M = {}

local SLOT_S = 5
-- Long enough for a steady number, and for a rare error to be seen at all.
local SHORT_SLOTS, LONG_SLOTS = 2, 12
local KEEP_S = (LONG_SLOTS + 2) * SLOT_S

local function slot_of(seconds)
    return math.floor(seconds / SLOT_S)
end

-- Takes in what a worker has counted since its last flush, under the keys of counters.lua.
function _M.add(key, amount)
    if key:find("^requests|") or key:find("^bucket|") then
        dict:incr(slot_of(ngx.now()) .. "|" .. key, amount, 0, KEEP_S)
    end
end

-- How long ago the first of so many whole slots began; less when the proxy is younger.
local function window_ms(slots, now, started_at)
    local first = (slot_of(now) - slots) * SLOT_S * 1000
    return math.max(1, math.floor(now * 1000 - math.max(first, started_at)))
end

local function nested(parent, name)
    parent[name] = parent[name] or {}
    return parent[name]
end

local function add_request(app, rest, is_short, value)
    local release, class = rest:match("^(%d+)|(%d)$")
    local counts = nested(nested(app, "releases"), release)
    class = class == "0" and "none" or class .. "xx"
    for _, window in ipairs(is_short and { "short", "long" } or { "long" }) do
        local sums = nested(counts, window)
        sums[class] = (sums[class] or 0) + value
    end
end

-- app → { releases = { release → { short, long } }, buckets }, for the apps of a project, or of all with `*`.
local function sums(project, now)
    local found = {}
    local short_from, long_from = slot_of(now) - SHORT_SLOTS, slot_of(now) - LONG_SLOTS
    for _, key in ipairs(dict:get_keys(0)) do
        local slot, kind, name, rest = key:match("^(%d+)|(%l+)|([^|]+)|(.*)$")
        slot = tonumber(slot)
        local is_asked = slot and slot >= long_from and (project == "*" or name:match("^[^/]+") == project)
        local value = is_asked and dict:get(key)
        if value then
            local app = nested(found, name)
            if kind == "requests" then
                add_request(app, rest, slot >= short_from, value)
            else
                local counts, position = nested(app, "buckets"), tonumber(rest:match("%d+$"))
                counts[position] = (counts[position] or 0) + value
            end
        end
    end
    return found
end

-- As Prometheus' histogram_quantile: even within a bucket. Nil without any request.
local function quantile_ms(part, counts)
    local bounds = buckets.BOUNDS
    local total = 0
    for position = 1, #bounds + 1 do
        total = total + (counts[position] or 0)
    end
    if total == 0 then
        return nil
    end
    local rank, below = part * total, 0
    for position, bound in ipairs(bounds) do
        local count = counts[position] or 0
        if count > 0 and below + count >= rank then
            local lower = bounds[position - 1] or 0
            return (lower + (bound - lower) * (rank - below) / count) * 1000
        end
        below = below + count
    end
    -- Slower than the last bound: it is all that is known.
    return bounds[#bounds] * 1000
end

local function encode_app(app)
    local counts = app.buckets or {}
    local p50, p99 = quantile_ms(0.5, counts), quantile_ms(0.99, counts)
    -- Put together by hand: numbers as keys would make a list of it.
    local texts = {}
    for release, windows in pairs(app.releases or {}) do
        texts[#texts + 1] = ('"%s":{"short":%s,"long":%s}'):format(release,
            windows.short and json.encode(windows.short) or "{}", json.encode(windows.long))
    end
    table.sort(texts)
    return ('{"p50_ms":%s,"p99_ms":%s,"releases":{%s}}'):format(p50 and ("%.1f"):format(p50) or "null",
        p99 and ("%.1f"):format(p99) or "null", table.concat(texts, ","))
end

-- The rates of a project's apps as JSON, as of the last flush of the counters.
function _M.text(project)
    local now, started_at = ngx.now(), about.get().started_at
    local texts = {}
    for name, app in pairs(sums(project, now)) do
        texts[#texts + 1] = json.encode(name) .. ":" .. encode_app(app)
    end
    table.sort(texts)
    return ('{"short_ms":%d,"long_ms":%d,"apps":{%s}}'):format(window_ms(SHORT_SLOTS, now, started_at),
        window_ms(LONG_SLOTS, now, started_at), table.concat(texts, ","))
end

return _M
