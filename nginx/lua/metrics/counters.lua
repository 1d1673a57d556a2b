-- Counters of this worker. A request adds to plain Lua tables; once a second the sums go to shared memory, where
-- exposition.lua reads them. A worker that is killed loses the last second.
local buckets = require "metrics.buckets"
local rates = require "metrics.rates"

local dict = ngx.shared.metrics

local _M = {}

_M.UNROUTED = "unrouted"

-- Series of a release that serves no more are kept for the last scrapes, then dropped: memory is bounded.
local KEEP_RETIRED_S = 900

local pending = {}

local function add(key, amount)
    pending[key] = (pending[key] or 0) + amount
end

function _M.count(key)
    add(key, 1)
end

local of_app, of_release = {}, {}

-- The keys under which an app is measured, put together once. `|` is in no name.
function _M.keys_of_app(app)
    local keys = of_app[app]
    if not keys then
        keys = { held = "held|" .. app, retries = "retries|" .. app, ejections = "ejections|" .. app }
        of_app[app] = keys
    end
    return keys
end

-- Keys of a release: of requests by status class, 1 to 5, and 0 for a connection that ended before there was a status;
-- and of their durations.
function _M.keys_of_release(app, release)
    local name = app .. "|" .. release
    local keys = of_release[name]
    if not keys then
        keys = { sum = "sum|" .. name, unreached = "unreached|" .. name, buckets = {} }
        for position = 1, #buckets.BOUNDS + 1 do
            keys.buckets[position] = "bucket|" .. name .. "|" .. position
        end
        for class = 0, 5 do
            keys[class] = "requests|" .. name .. "|" .. class
        end
        of_release[name] = keys
    end
    return keys
end

-- The bucket of each duration up to 1 s by millisecond, above it by tenth of a second: found without a search.
local LAST = #buckets.BOUNDS + 1
local by_millisecond, by_tenth = {}, {}

local function bucket_position(seconds)
    for position, bound in ipairs(buckets.BOUNDS) do
        if seconds <= bound then
            return position
        end
    end
    return LAST
end

for step = 0, 1000 do
    by_millisecond[step] = bucket_position(step / 1000)
end
for step = 10, buckets.BOUNDS[#buckets.BOUNDS] * 10 do
    by_tenth[step] = bucket_position(step / 10)
end

local function bucket_of(seconds)
    return by_millisecond[math.floor(seconds * 1000 + 0.5)] or by_tenth[math.ceil(seconds * 10)] or LAST
end

-- `peer` is nil for a request that never got one; it is counted under release 0.
function _M.observe(app, peer, status, seconds)
    local keys = peer and peer.metrics or _M.keys_of_release(app.name, 0)
    add(keys[math.floor(status / 100)] or keys[0], 1)
    -- How long a WebSocket stays open says nothing about how fast the app is.
    if status ~= 101 then
        add(keys.buckets[bucket_of(seconds)], 1)
        add(keys.sum, seconds)
    end
    -- The timer that flushes has ended.
    if ngx.worker.exiting() then
        _M.flush()
    end
end

function _M.flush()
    if next(pending) then
        local sums = pending
        pending = {}
        for key, amount in pairs(sums) do
            dict:incr(key, amount, 0)
            rates.add(key, amount)
        end
    end
end

-- Lets the series of what serves no more run out, and forgets this worker's keys of it. `is_serving(app, release)`;
-- release nil asks for the app.
function _M.forget_retired(is_serving)
    for _, key in ipairs(dict:get_keys(0)) do
        local kind, app, release = key:match("^(%l+)|([^|]+)|?(%d*)")
        if kind and dict:ttl(key) == 0 then
            local of = release ~= "0" and tonumber(release) or nil
            if not is_serving(app, of) then
                dict:expire(key, KEEP_RETIRED_S)
            end
        end
    end
    of_app, of_release = {}, {}
end

return _M
