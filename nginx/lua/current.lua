-- The apps' records as this worker has decoded them. A record is decoded again only when its own generation moved, so a
-- flip costs one decode per worker for the app that was flipped and nothing for the others.
local apps = require "apps"
local metrics = require "metrics"
local record = require "record"

local dict = ngx.shared.apps

local _M = {}

local cache = {}

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
        generation_key = "g:" .. name,
        balance = decoded.balance,
        hold_ms = decoded.hold_ms,
        peers = {},
        -- Workers have peers without a port: recorded, never sent a request.
        is_routable = #decoded.peers == 0,
        turn = math.random(0, 1023),
        others_read_at = 0,
        others_load = {},
        metrics = metrics.keys_of_app(name),
    }
    for _, peer in ipairs(decoded.peers) do
        if peer.port then
            app.is_routable = true
            peer.app = name
            peer.metrics = metrics.keys_of_release(name, peer.release)
            app.peers[#app.peers + 1] = peer
        end
    end
    cache[name] = app
    return app
end

-- The app as of its present generation; nil when it has no record.
function _M.app(name)
    local app = cache[name]
    if app and dict:get(app.generation_key) == app.generation then
        return app
    end
    return read(name)
end

-- Has the app been flipped since it was read?
function _M.is_stale(app)
    return dict:get(app.generation_key) ~= app.generation
end

return _M
