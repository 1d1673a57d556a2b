-- How many requests and WebSockets each peer has open. Each worker writes only the counts under its own identity; the
-- sum is taken over the workers that are alive, so one that was killed stops counting at once.
local workers = require "workers"

local dict = ngx.shared.inflight

-- Both counts share one number, so that no reader sees a request between being a request and being a WebSocket.
local WEBSOCKET = 2 ^ 26

local KEEP_IDLE_S = 60

local _M = {}

local counts = {}

local function publish(count)
    return dict:safe_set(count.key, count.requests + count.websockets * WEBSOCKET)
end

local function count_of(peer)
    local count = counts[peer.id]
    if not count then
        count = { key = workers.identity .. "|" .. peer.id, requests = 0, websockets = 0, used_at = 0 }
        counts[peer.id] = count
        -- Remembered beside the counts: a peer that was flipped out is in no record any more, but still measured.
        dict:safe_set("peer|" .. peer.id, table.concat({ peer.app, peer.release, peer.replica, peer.address, peer.port,
            peer.version }, "|"))
    end
    return count
end

-- Returns false when the count cannot be seen by the other workers: then the request must not be sent.
function _M.raise(peer)
    local count = count_of(peer)
    count.requests = count.requests + 1
    local ok, problem = publish(count)
    if not ok then
        count.requests = count.requests - 1
        ngx.log(ngx.ALERT, "cannot count a request of `", peer.id, "`: ", problem)
    end
    return ok
end

function _M.lower(peer, is_websocket)
    local count = count_of(peer)
    if is_websocket then
        count.websockets = count.websockets - 1
    else
        count.requests = count.requests - 1
    end
    count.used_at = ngx.now()
    publish(count)
end

-- The upstream answered 101: from now on the open request is a WebSocket.
function _M.upgrade(peer)
    local count = count_of(peer)
    count.requests = count.requests - 1
    count.websockets = count.websockets + 1
    publish(count)
end

local function split(value)
    local websockets = math.floor(value / WEBSOCKET)
    return value - websockets * WEBSOCKET, websockets
end

-- Exact sums of the given peers over all live workers.
function _M.sum(peer_ids)
    local live = workers.live()
    local total, by_peer = { requests = 0, websockets = 0 }, {}
    for _, id in ipairs(peer_ids) do
        local peer = { requests = 0, websockets = 0 }
        for _, identity in ipairs(live) do
            local requests, websockets = split(dict:get(identity .. "|" .. id) or 0)
            peer.requests = peer.requests + requests
            peer.websockets = peer.websockets + websockets
        end
        by_peer[id] = peer
        total.requests = total.requests + peer.requests
        total.websockets = total.websockets + peer.websockets
    end
    return total, by_peer
end

local function described(id)
    local app, release, replica, address, port, version =
        (dict:get("peer|" .. id) or ""):match("^([^|]*)|(%d+)|(%d+)|([^|]+)|(%d+)|(.*)$")
    return { requests = 0, websockets = 0, app = app, release = release, replica = replica, address = address,
        port = port, version = version }
end

-- Every peer with something open, also flipped-out ones: id → { requests, websockets, app, release, replica, address,
-- port, version }.
function _M.all()
    local live, found = {}, {}
    for _, identity in ipairs(workers.live()) do
        live[identity] = true
    end
    for _, key in ipairs(dict:get_keys(0)) do
        local identity, id = key:match("^(%d+%-%d+)|(.+)$")
        local value = identity and live[identity] and dict:get(key) or 0
        if value > 0 then
            local peer = found[id]
            if not peer then
                peer = described(id)
                found[id] = peer
            end
            local requests, websockets = split(value)
            peer.requests = peer.requests + requests
            peer.websockets = peer.websockets + websockets
        end
    end
    return found
end

-- What this worker alone has open at a peer.
function _M.own_load(peer)
    local count = counts[peer.id]
    return count and count.requests + count.websockets or 0
end

-- What the other workers have open at a peer.
function _M.others_load(peer)
    local load = 0
    for _, identity in ipairs(workers.others()) do
        local requests, websockets = split(dict:get(identity .. "|" .. peer.id) or 0)
        load = load + requests + websockets
    end
    return load
end

-- Drops counts that are zero and unused for a while: ids of replicas are never used again, so they would pile up.
function _M.forget_idle()
    local before = ngx.now() - KEEP_IDLE_S
    for id, count in pairs(counts) do
        if count.requests == 0 and count.websockets == 0 and count.used_at < before then
            dict:delete(count.key)
            dict:expire("peer|" .. id, KEEP_IDLE_S)
            counts[id] = nil
        end
    end
end

-- Drops what dead workers left behind. They no longer count; this only frees the memory.
function _M.forget_dead()
    for _, key in ipairs(dict:get_keys(0)) do
        local identity = key:match("^(%d+%-%d+)|")
        if identity and not workers.is_alive(identity) then
            dict:delete(key)
        end
    end
end

return _M
