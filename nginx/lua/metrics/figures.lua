-- The counters of single releases, for who compares two of them over the same time: requests by status class, tries that never
-- reached a replica and were repeated elsewhere, and durations by bucket.
local buckets = require "metrics.buckets"
local counters = require "metrics.counters"
local json = require "json"

local dict = ngx.shared.metrics

local _M = {}

local function read(key)
    return ("%d"):format(dict:get(key) or 0)
end

local function release_text(app, release)
    local keys = counters.keys_of_release(app, release)
    local classes, counts = {}, {}
    for class = 0, 5 do
        classes[#classes + 1] = read(keys[class])
    end
    for position = 1, #buckets.BOUNDS + 1 do
        counts[position] = read(keys.buckets[position])
    end
    return ('"%d":{"classes":%s,"unreached":%s,"buckets":%s}'):format(release, json.list(classes), read(keys.unreached),
        json.list(counts))
end

-- Since the proxy's start; what the other workers have counted in the last second may be missing.
function _M.text(app, releases)
    counters.flush()
    local texts = {}
    for position, release in ipairs(releases) do
        texts[position] = release_text(app, release)
    end
    return "{" .. table.concat(texts, ",") .. "}"
end

-- The upper bounds of the buckets in seconds; the last bucket has none.
function _M.bounds()
    local texts = {}
    for position, bound in ipairs(buckets.BOUNDS) do
        texts[position] = ("%.14g"):format(bound)
    end
    return json.list(texts)
end

return _M
