-- A request's way through the proxy: find its app, pick a peer and count the request there, notice a WebSocket, and
-- take the count back at the end. balancer.lua does the tries.
local pick = require "traffic.pick"
local client = require "traffic.client"
local current = require "traffic.current"
local ejection = require "traffic.ejection"
local inflight = require "traffic.inflight"
local counters = require "metrics.counters"
local outcome = require "traffic.outcome"
local pages = require "traffic.pages"
local request = require "traffic.request"
local routes = require "traffic.routes"

local get, set = request.get, request.set

local _M = {}

-- How often a held request looks for a peer.
local HOLD_STEP_S = 0.02

-- Picks a peer of the app and counts the request there. The count is raised first and the generation read again after it
-- (law 3 of the design): a flip that did not see the count is seen here, so when a flip is acknowledged, zero means zero.
function _M.take_peer(held, name, tried)
    local app = current.app(name)
    local peer = app and pick.pick(app, tried)
    local is_counted = peer and inflight.raise(peer)
    if current.has_moved() then
        if is_counted then
            inflight.lower(peer, false)
        end
        return _M.take_peer(held, name, tried)
    end
    held.app = app
    held.peer = is_counted and peer or nil
    return held.peer
end

-- While a stop-first app has no peer, its requests wait for the next one.
local function hold(held)
    local name = held.app.name
    counters.count(held.app.metrics.held)
    local deadline = ngx.now() + held.app.hold_ms / 1000
    repeat
        ngx.sleep(HOLD_STEP_S)
        if _M.take_peer(held, name) then
            return true
        end
    until not held.app or #held.app.peers > 0 or ngx.now() >= deadline
    return false
end

local function set_target(route, target)
    set("target", target)
    if route.strip then
        set("forwarded_prefix", route.path)
    end
end

local function refuse(held, status)
    local app = held.app
    if not app or not app.is_routable then
        counters.count(counters.UNROUTED)
        return pages.send(status or 404)
    end
    return pages.send(503)
end

local function is_holding(app)
    return app and app.is_routable and #app.peers == 0 and app.hold_ms > 0
end

-- Returns the route, whether a peer was taken for it, and the target to send; without a route the status to answer with.
local function find_peer(held)
    current.has_moved()
    local generation = current.seen()
    local route, target = routes.find()
    if route and _M.take_peer(held, route.app) then
        return route, true, target
    end
    if current.seen() ~= generation then
        -- A flip came between: the route may lead to another app now.
        return find_peer(held)
    end
    return route, false, target
end

function _M.run()
    if client.is_on then
        client.identify()
    end
    local held, before = request.begin()
    if before and before.peer then
        inflight.lower(before.peer, before.is_websocket)
    end
    local route, is_found, target = find_peer(held)
    if not is_found and not (is_holding(held.app) and hold(held)) then
        return refuse(held, not route and target)
    end
    if target then
        set_target(route, target)
        return ngx.exec("@stripped")
    end
end

-- Leaves out a peer that could not be reached.
function _M.eject(peer)
    if ejection.eject(peer) then
        counters.count(counters.keys_of_app(peer.app).ejections)
    end
end

-- Runs when the head of an answer to an upgrade is there.
function _M.upgraded()
    local held = request.held()
    if held and held.peer and not held.is_websocket and request.status() == 101 then
        inflight.upgrade(held.peer)
        held.is_websocket = true
    end
end

-- The balancer does not see how a request's last try ended. A try that never connected has no time to connect.
local function note_last_try(peer)
    if (get("upstream_connect_time") or ""):find("-$") then
        _M.eject(peer)
    end
end

-- Runs once for each request, whatever became of it.
function _M.finished()
    local held = request.finish()
    if not held then
        return
    end
    local peer, app, status = held.peer, held.app, request.status()
    if peer then
        inflight.lower(peer, held.is_websocket)
        if (status == 502 or status == 504) and not held.is_given_up then
            note_last_try(peer)
        end
    end
    if app then
        set("log_outcome", outcome.text((peer or app).outcome, status, held.retries))
        counters.observe(app, peer, status, ngx.now() - ngx.req.start_time())
    end
end

return _M
