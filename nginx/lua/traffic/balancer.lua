-- Names the peer for each try of a request (balancer_by_lua). The first was picked and counted in the access phase;
-- each further one moves the count to another peer.
local admission = require "traffic.admission"
local balancer = require "ngx.balancer"
local inflight = require "traffic.inflight"
local counters = require "metrics.counters"
local request = require "traffic.request"

local _M = {}

-- nginx's own code for "no live upstreams": the client gets 502. A status would become 500 here.
local NO_PEER = -3

-- A request that meets three dead peers meets a dead app.
local MOST_RETRIES = 2

-- Did the last try end before it was connected? Then the peer is gone, and no part of the request was sent. Each try
-- that connected has its time; the one that begins now has no address yet and stands there as ` : `.
local function never_connected()
    return (request.get("upstream_connect_time") or ""):find("- : $") ~= nil
end

local function next_peer(held)
    local failed = held.peer
    local is_gone = never_connected()
    if is_gone then
        admission.eject(failed)
        counters.count(failed.metrics.unreached)
    end
    held.tried = held.tried or {}
    held.tried[failed.id] = true
    held.peer = nil
    inflight.lower(failed, false)
    local peer = admission.take_peer(held, failed.app, held.tried)
    if not peer and not is_gone then
        -- The only peer closed a pooled connection: a fresh one to it will do.
        peer = admission.take_peer(held, failed.app)
    end
    return peer
end

-- Did an app whose time is limited have the whole of it? Another replica would get as much once more, and the client would wait
-- for twice the limit.
local function is_late(held)
    local own = held.app and held.app.rules
    if not own or not (own.read_s or own.send_s) or never_connected() then
        return false
    end
    local _, status = balancer.get_last_failure()
    return status == 504
end

local function begin_retry(held)
    held.is_late = is_late(held)
    if held.is_late then
        return false
    end
    -- nginx grants a try more for each pooled connection that failed; the limit holds for those too.
    if (held.retries or 0) >= MOST_RETRIES or not next_peer(held) then
        return false
    end
    held.retries = (held.retries or 0) + 1
    counters.count(held.app.metrics.retries)
    return true
end

function _M.run()
    local held = request.held()
    if not held.is_begun then
        held.is_begun = true
        balancer.set_more_tries(MOST_RETRIES)
    elseif not begin_retry(held) then
        held.is_given_up = true
        return ngx.exit(NO_PEER)
    end
    local peer = held.peer
    local ok, problem = balancer.set_current_peer(peer.address, peer.port)
    if not ok then
        ngx.log(ngx.ERR, "cannot use the address of `", peer.id, "`: ", problem)
        return ngx.exit(NO_PEER)
    end
    local own = held.app.rules
    if own and (own.read_s or own.send_s) then
        balancer.set_timeouts(nil, own.send_s, own.read_s)
    end
end

return _M
