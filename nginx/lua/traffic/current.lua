-- The table of apps as this worker sees it. A request costs one look at the table's generation. When that has moved, an
-- app is decoded again only if its own generation moved too: a flip costs one decode per worker for the app that was
-- flipped, and next to nothing for the others.
local apps = require "state.apps"
local counters = require "metrics.counters"
local outcome = require "traffic.outcome"
local pools = require "traffic.pools"
local record = require "state.record"
local rules = require "traffic.rules"

local dict = ngx.shared.apps

local _M = {}

local cache = {}
-- Generation of the table up to which everything cached here was looked at.
local seen

local function read(name)
    local text, generation = apps.record_text(name)
    if not text then
        cache[name] = nil
        return nil
    end
    local decoded = record.decode(text)
    local app = {
        name = name,
        generation = generation,
        seen = seen,
        balance = decoded.balance,
        hold_ms = decoded.hold_ms,
        peers = {},
        rules = rules.of(decoded),
        -- Workers have peers without a port: recorded, never sent a request.
        is_routable = #decoded.peers == 0,
        turn = math.random(0, 1023),
        others_read_at = 0,
        others_load = {},
        outcome = outcome.of(name),
        metrics = counters.keys_of_app(name),
    }
    for _, peer in ipairs(decoded.peers) do
        if peer.port then
            app.is_routable = true
            peer.app = name
            peer.outcome = outcome.of(name, peer)
            peer.metrics = counters.keys_of_release(name, peer.release)
            app.peers[#app.peers + 1] = peer
        end
    end
    app.split = pools.of(app, decoded)
    cache[name] = app
    return app
end

local function look_again(app)
    if apps.generation(app.name) ~= app.generation then
        return read(app.name)
    end
    app.seen = seen
    return app
end

-- The app as of the last `has_moved`; nil when it has no record.
function _M.app(name)
    local app = cache[name]
    if not app then
        return read(name)
    end
    if app.seen ~= seen then
        return look_again(app)
    end
    return app
end

-- Was anything flipped since this was last asked? After true, what was read before is out of date.
function _M.has_moved()
    local generation = dict:get("generation")
    if generation == seen then
        return false
    end
    seen = generation
    return true
end

-- The generation that `has_moved` saw last.
function _M.seen()
    return seen
end

return _M
